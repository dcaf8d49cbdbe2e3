#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace drunner {

// Jobs that one thread at a time produces, several work on side by side, and one consumes in the
// order in which they were produced. At most `window` of them exist at once, which bounds memory.
// An exception of produce or work comes out of next() in its place and ends the pool.
template <class Job, class Result>
class OrderedPool {
  public:
    using Produce = std::function<std::optional<Job>()>;
    using Work = std::function<Result(unsigned worker, Job job)>;

    OrderedPool(unsigned workers, std::size_t window, Produce produce, Work work)
        : window_(window), produce_(std::move(produce)), work_(std::move(work)) {
        for (unsigned worker = 0; worker < workers; ++worker) {
            threads_.emplace_back([this, worker] { run(worker); });
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

    void run(unsigned worker) {
        while (true) {
            std::optional<Job> job;
            Outcome outcome;
            std::size_t index = 0;
            {
                const std::lock_guard turn(turn_);
                {
                    std::unique_lock lock(mutex_);
                    changed_.wait(lock, [this] {
                        return stopped_ || ended_ || produced_ - consumed_ < window_;
                    });
                    if (stopped_ || ended_) {
                        return;
                    }
                }
                try {
                    job = produce_();
                } catch (...) {
                    outcome.failure = std::current_exception();
                }
                const std::lock_guard lock(mutex_);
                ended_ = !job;
                index = produced_;
                produced_ += job || outcome.failure ? 1 : 0;
            }
            if (job) {
                try {
                    outcome.result = work_(worker, std::move(*job));
                } catch (...) {
                    outcome.failure = std::current_exception();
                }
            }
            const std::lock_guard lock(mutex_);
            ended_ = ended_ || outcome.failure;
            if (job || outcome.failure) {
                outcomes_.emplace(index, std::move(outcome));
            }
            changed_.notify_all();
        }
    }

    const std::size_t window_;
    Produce produce_;
    Work work_;
    std::mutex turn_;  // held by the thread that produces
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::size_t, Outcome> outcomes_;
    std::size_t produced_ = 0;
    std::size_t consumed_ = 0;
    bool ended_ = false;
    bool stopped_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace drunner
