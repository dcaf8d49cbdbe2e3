#include "operation/image_test.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/image_choice.hpp"
#include "operation/image_inspection.hpp"
#include "operation/operations.hpp"
#include "operation/review.hpp"
#include "operation/test_prefix.hpp"
#include "operation/volumes.hpp"

namespace drunner {
namespace {

constexpr std::string_view witness_file = ".drunner-witness";
constexpr std::string_view tested_runner = "servicerunner.tested";

// Levels (check/rules.hpp) that an image does not reach where such a step fails.
constexpr int contract_level = 0;
constexpr int volume_level = 3;
constexpr int verb_level = 4;
constexpr int health_level = 5;
constexpr int backup_level = 6;

// Does what the tested scripts do, and fails at the end of an update.
constexpr std::string_view failing_runner = R"sh(#!/bin/sh
tested=$(dirname "$(readlink -f "$0")")/servicerunner.tested
case $1 in
    updateend | update_end)
        "$tested" "$@"
        exit 1
        ;;
esac
exec "$tested" "$@"
)sh";

// What a step does where it cannot be tried.
struct Skip {
    std::string why;
};

Error failed(const std::string& what, const std::string& output) {
    return Error(ErrorKind::script_failed, what + quoted_lines(output));
}

void expect(const TestPrefix::Ran& ran, std::initializer_list<int> statuses,
            const std::string& what) {
    if (std::find(statuses.begin(), statuses.end(), ran.status) == statuses.end()) {
        throw failed(what + " ended with " + std::to_string(ran.status), ran.output);
    }
}

class Life {
  public:
    Life(Machine& machine, const TestRequest& request, const Image& image, TestReport& report)
        : machine_(machine),
          request_(request),
          report_(report),
          prefix_(machine, image.id),
          a_(prefix_.service('a')),
          b_(prefix_.service('b')),
          c_(prefix_.service('c')),
          d_(prefix_.service('d')) {}

    void live() {
        if (!step("install", contract_level, [&] { install(a_, request_.image); })) {
            return;
        }
        step("a second instance beside it", verb_level, [&] { install(b_, request_.image); });
        step("help", verb_level,
             [&] { expect(prefix_.launcher(a_, {"help"}), {0}, "'SERVICE help'"); });
        step("an unknown command fails", verb_level,
             [&] { expect(prefix_.launcher(a_, {"no-such-command"}), {1}, "an unknown command"); });
        step("selftest", health_level, [&] {
            if (!has_selftest()) {
                throw Skip{"the image has none"};
            }
            selftest(a_);
        });
        step("enter", verb_level, [&] {
            expect(prefix_.drunner({"enter", a_.text(), "-c", "exit 0"}), {0},
                   "'drunner enter SERVICE -c \"exit 0\"'");
        });
        leave_witness("first");
        step("uninstall keeps the data", volume_level, [&] {
            expect(prefix_.drunner({"uninstall", a_.text()}), {0}, "uninstall");
            require_volumes();
        });
        step("install finds the data again", volume_level, [&] {
            install(a_, request_.image);
            require_witness(a_, "first");
        });
        step("an update to the same image changes nothing", verb_level, [&] {
            expect(prefix_.drunner({"update", a_.text()}), {3}, "update");
            require_witness(a_, "first");
        });
        if (request_.from) {
            step("an update from '" + request_.from->text() + "'", verb_level,
                 [&] { update_from(*request_.from); });
        }
        step("a failing update is rolled back", verb_level, [&] { failing_update(); });
        step("backup", backup_level, [&] {
            expect(prefix_.drunner({"backup", a_.text(), file("plain")}), {0}, "backup");
        });
        step("backup with a key", backup_level, [&] { encrypted_backup(); });
        step("restore under another name", backup_level, [&] { restore_copy(); });
        step("restore --replace, with the key", backup_level, [&] { restore_over(); });
        step("recover", verb_level, [&] { recover(); });
        step("obliterate", verb_level, [&] {
            for (const ServiceName& name : {a_, b_}) {
                expect(prefix_.drunner({"obliterate", name.text()}), {0, 3}, "obliterate");
            }
        });
        step("nothing is left", verb_level, [&] { prefix_.require_nothing_left(); });
        step("what a stranger has is untouched", contract_level,
             [&] { prefix_.require_stranger_whole(); });
    }

  private:
    template <typename Body>
    bool step(const std::string& name, int level, const Body& body) {
        TestStep done{name, level, TestStep::Verdict::passed, "", 0};
        const auto start = std::chrono::steady_clock::now();
        try {
            body();
        } catch (const Skip& skip) {
            done.verdict = TestStep::Verdict::skipped;
            done.why = skip.why;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            done.verdict = TestStep::Verdict::failed;
            done.why = error.what();
        }
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        done.seconds = took.count();
        report_.steps.push_back(done);
        if (request_.on_step) {
            request_.on_step(done);
        }
        return done.verdict == TestStep::Verdict::passed;
    }

    std::string file(const std::string& name) const { return prefix_.paths().state() + "/" + name; }

    Manifest manifest(const ServiceName& name) const { return Catalog(prefix_.paths()).load(name); }

    void install(const ServiceName& name, const ImageReference& image) const {
        expect(prefix_.drunner({"install", image.text(), name.text()}), {0}, "install");
        expect(prefix_.drunner({"status", name.text()}), {0}, "status after install");
    }

    void selftest(const ServiceName& name) const {
        if (has_selftest()) {
            expect(prefix_.launcher(name, {"selftest"}), {0, 3}, "'SERVICE selftest'");
        }
    }

    bool has_selftest() const {
        return std::find(report_.rules.begin(), report_.rules.end(), "verb-selftest") ==
               report_.rules.end();
    }

    // A file in every volume, as the service's own user leaves it.
    void leave_witness(const std::string& text) const {
        const Manifest now = manifest(a_);
        VolumeAccess access(machine_);
        for (const ManagedVolume& volume : now.volumes) {
            const std::string path =
                access.directory(volume.name) + "/" + std::string(witness_file);
            write_file(path, text, 0644);
            if (chown(path.c_str(), now.release().uid, now.release().gid) != 0) {
                throw system_error("cannot give '" + path + "' to the service", errno);
            }
        }
    }

    void require_volumes() const {
        for (const Volume& volume : machine_.engine.list_volumes(
                 {.labels = {std::string(label::service) + "=" + a_.text()},
   .name = {},
   .volume = {}})) {
            require_witness_in(volume.name, "first");
        }
    }

    void require_witness(const ServiceName& name, const std::string& text) const {
        for (const ManagedVolume& volume : manifest(name).volumes) {
            require_witness_in(volume.name, text);
        }
    }

    void require_witness_in(const std::string& volume, const std::string& text) const {
        const std::string path =
            VolumeAccess(machine_).directory(volume) + "/" + std::string(witness_file);
        if (file_type(path) != FileType::regular || read_file(path) != text) {
            throw Error(ErrorKind::broken,
                        "a file that stood in volume '" + volume + "' is lost or changed");
        }
    }

    void update_from(const ImageReference& old) {
        install(d_, old);
        const TestPrefix::Ran ran =
            prefix_.drunner({"update", d_.text(), "--image", request_.image.text()});
        expect(ran, {0}, "update");
        selftest(d_);
        expect(prefix_.drunner({"status", d_.text()}), {0}, "status after the update");
        expect(prefix_.drunner({"obliterate", d_.text()}), {0}, "obliterate");
    }

    void build_failing_image() const {
        const std::string directory = file("failing");
        make_directories(directory);
        const Release release = manifest(a_).release();
        write_file(directory + "/servicerunner", failing_runner, 0755);
        write_file(directory + "/" + std::string(tested_runner),
                   read_file(prefix_.paths().servicerunner(a_)), 0755);
        write_file(directory + "/Dockerfile", "FROM " + pinned_image(a_, release.number) +
                                                  "\nCOPY servicerunner " +
                                                  std::string(tested_runner) + " /drunner/\n");
        const TestPrefix::Ran ran =
            prefix_.program({"docker", "build", "-t", prefix_.failing_image(), directory});
        if (ran.status != 0) {
            throw failed("cannot build an image whose update fails", ran.output);
        }
    }

    void failing_update() const {
        build_failing_image();
        const Manifest before = manifest(a_);
        expect(prefix_.drunner({"update", a_.text(), "--image", prefix_.failing_image()}), {1},
               "an update whose 'updateend' fails");
        const Manifest after = manifest(a_);
        if (after.current != before.current) {
            throw Error(ErrorKind::broken, "the failed release is the current one");
        }
        require_witness(a_, "first");
        expect(prefix_.drunner({"status", a_.text()}), {0}, "status after the failed update");
        expect(prefix_.launcher(a_, {"help"}), {0}, "'SERVICE help' after the failed update");
    }

    void encrypted_backup() const {
        const TestPrefix::Ran key = prefix_.drunner({"keygen", file("key")});
        expect(key, {0}, "keygen");
        expect(prefix_.drunner({"backup", a_.text(), file("encrypted"), "--recipient",
                                std::string(trim(key.output))}),
               {0}, "backup --recipient");
    }

    void restore_copy() const {
        expect(prefix_.drunner({"restore", file("plain"), c_.text()}), {0}, "restore");
        require_witness(c_, "first");
        selftest(c_);
        expect(prefix_.drunner({"obliterate", c_.text()}), {0}, "obliterate");
    }

    void restore_over() const {
        leave_witness("second");
        expect(prefix_.drunner({"restore", file("encrypted"), a_.text(), "--replace", "--identity",
                                file("key")}),
               {0}, "restore --replace");
        require_witness(a_, "first");
    }

    void recover() const {
        remove_tree(prefix_.paths().servicerunner(a_));
        expect(prefix_.drunner({"recover", a_.text()}), {0}, "recover");
        require_witness(a_, "first");
        expect(prefix_.drunner({"status", a_.text()}), {0}, "status after recover");
        expect(prefix_.launcher(a_, {"help"}), {0}, "'SERVICE help' after recover");
    }

    Machine& machine_;
    const TestRequest& request_;
    TestReport& report_;
    TestPrefix prefix_;
    ServiceName a_;
    ServiceName b_;
    ServiceName c_;
    ServiceName d_;
};

// The image, read and reviewed before anything of it runs.
Image image_of(Machine& machine, const ImageReference& reference) {
    Image image = choose_image(machine, {reference, machine.config.pull, {}, {}}).image;
    const ImageFacts facts = read_image_files(machine, image, reference.text());
    if (facts.files) {
        review_scripts(machine, ServiceName(reference.last_part()), *facts.files, reference.text());
    }
    return image;
}

}  // namespace

bool TestReport::passed() const {
    return std::none_of(steps.begin(), steps.end(), [](const TestStep& step) {
        return step.verdict == TestStep::Verdict::failed;
    });
}

TestReport test_image(Machine& machine, const TestRequest& request) {
    remove_abandoned_tests(machine);
    const Image image = image_of(machine, request.image);
    if (request.from) {
        image_of(machine, *request.from);
    }
    TestReport report;
    report.reference = request.image.text();
    const Judgement judgement = check_image(machine, request.image, request.from);
    report.rules_level = judgement.level_reached();
    for (const Finding& finding : judgement.findings) {
        report.rules.emplace_back(finding.rule);
    }
    TestStep rules{"checkimage: level " + std::to_string(report.rules_level), contract_level,
                   TestStep::Verdict::passed, "", 0};
    if (report.rules_level < 0) {
        rules = {"checkimage: the contract", contract_level, TestStep::Verdict::failed,
                 judgement.findings.front().message, 0};
    }
    report.steps.push_back(rules);
    if (request.on_step) {
        request.on_step(rules);
    }
    if (report.rules_level >= 0) {
        Life(machine, request, image, report).live();
    }
    report.level = report.rules_level;
    for (const TestStep& step : report.steps) {
        if (step.verdict == TestStep::Verdict::failed) {
            report.level = std::min(report.level, step.level - 1);
        }
    }
    return report;
}

}  // namespace drunner
