#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace drunner {

// Jobs that one thread produces, several work on side by side, and the caller's consumes in the
// order in which they were produced. At most `ahead` jobs wait for a worker, and at most `window`
// are worked on or wait to be consumed, which bounds memory. An exception of produce or work comes
// out of next() in its place and ends the pool.
template <class Job, class Result>
class OrderedPool {
  public:
    using Produce = std::function<std::optional<Job>()>;
    using Work = std::function<Result(unsigned worker, Job job)>;

    OrderedPool(unsigned workers, std::size_t ahead, std::size_t window, Produce produce, Work work)
        : ahead_(ahead), window_(window), produce_(std::move(produce)), work_(std::move(work)) {
        threads_.emplace_back([this] { produce_all(); });
        for (unsigned worker = 0; worker < workers; ++worker) {
            threads_.emplace_back([this, worker] { work_all(worker); });
        }
    }

    ~OrderedPool() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }

    OrderedPool(const OrderedPool&) = delete;
    OrderedPool& operator=(const OrderedPool&) = delete;

    // Empty at the end.
    std::optional<Result> next() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] {
            return outcomes_.contains(consumed_) || (ended_ && consumed_ == produced_);
        });
        const auto found = outcomes_.find(consumed_);
        if (found == outcomes_.end()) {
            return std::nullopt;
        }
        Outcome outcome = std::move(found->second);
        outcomes_.erase(found);
        ++consumed_;
        lock.unlock();
        changed_.notify_all();
        if (outcome.failure) {
            std::rethrow_exception(outcome.failure);
        }
        return std::move(outcome.result);
    }

  private:
    struct Outcome {
        std::optional<Result> result;
        std::exception_ptr failure;
    };

    void produce_all() {
        std::unique_lock lock(mutex_);
        while (!ended_) {
            changed_.wait(lock, [this] { return stopped_ || jobs_.size() < ahead_; });
            if (stopped_) {
                return;
            }
            lock.unlock();
            std::optional<Job> job;
            Outcome outcome;
            try {
                job = produce_();
            } catch (...) {
                outcome.failure = std::current_exception();
            }
            lock.lock();
            if (job) {
                jobs_.push_back(std::move(*job));
                ++produced_;
            } else {
                ended_ = true;
                if (outcome.failure) {
                    outcomes_.emplace(produced_++, std::move(outcome));
                }
            }
            changed_.notify_all();
        }
    }

    void work_all(unsigned worker) {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] {
                return stopped_ || (jobs_.empty() ? ended_ : started_ - consumed_ < window_);
            });
            if (stopped_ || jobs_.empty()) {
                return;
            }
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            const std::size_t index = started_++;
            lock.unlock();
            changed_.notify_all();
            Outcome outcome;
            try {
                outcome.result = work_(worker, std::move(job));
            } catch (...) {
                outcome.failure = std::current_exception();
            }
            lock.lock();
            // Those before it have been started; what comes after it is not wanted any more.
            stopped_ = stopped_ || outcome.failure;
            outcomes_.emplace(index, std::move(outcome));
            changed_.notify_all();
        }
    }

    const std::size_t ahead_;
    const std::size_t window_;
    Produce produce_;
    Work work_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    std::map<std::size_t, Outcome> outcomes_;
    std::size_t produced_ = 0;
    std::size_t started_ = 0;
    std::size_t consumed_ = 0;
    bool ended_ = false;  // nothing more is produced
    bool stopped_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace drunner
