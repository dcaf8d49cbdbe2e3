#include "operation/doctor.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "host/file.hpp"
#include "host/lock.hpp"
#include "operation/changes.hpp"
#include "operation/doctor_checks.hpp"
#include "operation/session.hpp"

namespace drunner {
namespace {

constexpr std::chrono::hours abandoned_age{1};
constexpr std::size_t operation_id_length = 32;
// What a mended fault uncovers is mended in the next round.
constexpr int most_rounds = 4;

struct CheckRow {
    std::string_view id;
    std::string_view why;
    Check check;
};

// Every check that doctor makes, in the order in which faults are mended.
constexpr std::array check_rows{
    CheckRow{"engine", "without it nothing of any service can be seen", check_engine},
    CheckRow{"installation-id", "volumes and containers are told from strangers' by it",
             check_installation_id},
    CheckRow{"unfinished", "the service is between its old state and its new one",
             check_unfinished},
    CheckRow{"empty-directory", "a service seems to be there that is not", check_empty_directories},
    CheckRow{"manifest", "nothing can be done with the service until it is readable",
             check_manifests},
    CheckRow{"other-engine", "its containers and volumes are not on this engine", check_bindings},
    CheckRow{"file-mode", "others could read secrets or change what runs as root", check_modes},
    CheckRow{"launcher", "the service cannot be called by its name", check_launchers},
    CheckRow{"pin", "the installed image could be pruned, or another one run", check_pins},
    CheckRow{"scripts", "what runs as root is not what the image brought", check_scripts},
    CheckRow{"volume-missing", "the service's data is not here", check_missing_volumes},
    CheckRow{"keep-container", "docker volume prune would remove the data", check_keep_containers},
    CheckRow{"release", "no service uses it, and it takes room", check_releases},
    CheckRow{"temporary", "an operation that died left it", check_temporaries},
    CheckRow{"staging", "an operation that died left a copy of data", check_staging},
    CheckRow{"partial-backup", "a backup that died left it; it cannot be restored",
             check_partial_backups},
    CheckRow{"expired-backup", "it was to be kept for a time that is over", check_expired},
    CheckRow{"lost-installation", "its containers and volumes are there, its files are not",
             check_lost_installations},
    CheckRow{"orphan-container", "it belongs to a service that is not installed",
             check_orphan_containers},
    CheckRow{"scratch", "an operation that died left it", check_scratch},
    CheckRow{"orphan-volume", "its data belongs to no installed service", check_orphan_volumes},
    CheckRow{"orphan-network", "it belongs to a service that is not installed",
             check_orphan_networks},
    CheckRow{"orphan-pin", "it keeps an image that no service uses", check_orphan_pins},
    CheckRow{"orphan-launcher", "a command is on PATH whose service is not installed",
             check_orphan_launchers},
    CheckRow{"lock", "it names a service that is not installed", check_locks},
    CheckRow{"launcher-path", "services cannot be called by their names", check_path},
    CheckRow{"disk-full", "backups and updates are about to fail", check_disks},
    CheckRow{"schedule", "what should happen at night does not", check_schedules},
    CheckRow{"backup-age", "a loss would cost more than the operator allows", check_backup_age},
};

bool is_busy(const Machine& machine, const ServiceName& name) {
    return !FileLock::holder(machine.paths.lock(name)).empty();
}

void ask_engine(Examination& examination) {
    Engine& engine = examination.machine.engine;
    try {
        examination.containers = engine.list_containers({});
        examination.volumes = engine.list_volumes({});
        examination.networks = engine.list_networks({});
        examination.pins = engine.list_tags(pin_repository);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        examination.engine_problem = error.what();
    }
}

Examination look(Machine& machine, const DoctorRequest& request) {
    Examination examination{machine, {}, {}, {}, {}, request.services.empty(), {}, {}, {}, {}, {}};
    if (exists(machine.paths.installation_id())) {
        examination.installation = trim(read_file(machine.paths.installation_id()));
    }
    const Catalog catalog(machine.paths);
    for (const ServiceName& name : catalog.names()) {
        examination.known.insert(name.text());
        try {
            if (auto manifest = catalog.find(name)) {
                examination.manifests.emplace(name.text(), std::move(*manifest));
            }
        } catch (const Error&) {
            // check_manifests tells it.
        }
        const bool wanted = request.services.empty() ||
                            std::find(request.services.begin(), request.services.end(), name) !=
                                request.services.end();
        if (!wanted) {
            continue;
        }
        if (is_busy(machine, name)) {
            machine.progress.note("'" + name.text() +
                                  "' is left alone: another drunner works on it");
        } else {
            examination.services.push_back(name);
        }
    }
    ask_engine(examination);
    return examination;
}

struct Diagnosis {
    DoctorFinding finding;
    std::function<void()> mend;
};

std::vector<Diagnosis> diagnose(Machine& machine, const DoctorRequest& request) {
    const Examination examination = look(machine, request);
    std::vector<Diagnosis> diagnoses;
    for (const CheckRow& row : check_rows) {
        row.check(examination, [&](Symptom symptom) {
            DoctorFinding finding;
            finding.check = row.id;
            finding.service = symptom.service;
            finding.what = symptom.what;
            finding.why = row.why;
            finding.mendable = static_cast<bool>(symptom.mend);
            finding.next = !symptom.next.empty() ? symptom.next
                           : symptom.service.empty() || !examination.known.contains(symptom.service)
                               ? "drunner doctor --fix"
                               : "drunner doctor --fix " + symptom.service;
            diagnoses.push_back({std::move(finding), std::move(symptom.mend)});
        });
    }
    return diagnoses;
}

bool is_same(const DoctorFinding& a, const DoctorFinding& b) {
    return a.check == b.check && a.service == b.service && a.what == b.what;
}

void mend(Machine& machine, const Diagnosis& diagnosis) {
    try {
        diagnosis.mend();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        machine.progress.warning("cannot mend: " + diagnosis.finding.what + ": " + error.what());
    }
}

}  // namespace

std::vector<DoctorFinding> doctor(Machine& machine, const DoctorRequest& request) {
    for (const ServiceName& name : request.services) {
        if (!exists(machine.paths.service(name))) {
            Catalog(machine.paths).load(name);  // says that it is not installed, and what is near
        }
    }
    std::vector<DoctorFinding> findings;
    std::vector<Diagnosis> diagnoses = diagnose(machine, request);
    const auto add_new = [&] {
        for (const Diagnosis& diagnosis : diagnoses) {
            const bool known = std::any_of(findings.begin(), findings.end(), [&](const auto& one) {
                return is_same(one, diagnosis.finding);
            });
            if (!known) {
                findings.push_back(diagnosis.finding);
            }
        }
    };
    add_new();
    if (!request.fix || machine.check) {
        for (const DoctorFinding& finding : findings) {
            if (request.fix && finding.mendable) {
                tell_change(machine, "mends: " + printable(finding.what));
            }
        }
        return findings;
    }
    for (int round = 0; round < most_rounds; ++round) {
        bool tried = false;
        for (const Diagnosis& diagnosis : diagnoses) {
            if (diagnosis.mend) {
                tried = true;
                mend(machine, diagnosis);
            }
        }
        if (!tried) {
            break;
        }
        diagnoses = diagnose(machine, request);
        add_new();
    }
    for (DoctorFinding& finding : findings) {
        const bool stands = std::any_of(
            diagnoses.begin(), diagnoses.end(),
            [&](const Diagnosis& diagnosis) { return is_same(diagnosis.finding, finding); });
        finding.state = stands ? DoctorFinding::State::remains : DoctorFinding::State::mended;
        if (!stands) {
            tell_change(machine, "mends: " + printable(finding.what));
        }
    }
    return findings;
}

DoctorFinding settings_finding(const Error& error) {
    return {"settings",   {},
            error.what(), "no command works until they can be read; nothing else was looked at",
            error.next(), DoctorFinding::State::remains,
            false};
}

const Manifest* Examination::manifest(const std::string& service) const {
    const auto found = manifests.find(service);
    return found == manifests.end() ? nullptr : &found->second;
}

const Manifest* Examination::manifest_here(const ServiceName& service) const {
    const Manifest* found = manifest(service.text());
    return found != nullptr && engine_problem.empty() &&
                   same_socket(found->engine_socket, machine.engine_socket)
               ? found
               : nullptr;
}

bool Examination::is_own(const Labels& labels) const {
    return !installation.empty() && label_value(labels, label::installation) == installation;
}

bool Examination::has_own_keep(const std::string& service) const {
    return std::any_of(containers.begin(), containers.end(), [&](const ContainerSummary& one) {
        return one.name == keep_container(ServiceName(service)) && is_own(one.labels);
    });
}

bool Examination::has_foreign_keep(const std::string& service) const {
    return std::any_of(containers.begin(), containers.end(), [&](const ContainerSummary& one) {
        return one.name == keep_container(ServiceName(service)) && !is_own(one.labels);
    });
}

bool Examination::has_own_volume(const std::string& service) const {
    return std::any_of(volumes.begin(), volumes.end(), [&](const Volume& one) {
        return is_own(one.labels) && label_value(one.labels, label::service) == service;
    });
}

bool Examination::is_gone(const std::string& service) const {
    return !known.contains(service) && (!ServiceName::is_valid(service) ||
                                        !exists(machine.paths.service(ServiceName(service))));
}

std::function<void()> under_lock(Machine& machine, const ServiceName& service,
                                 std::function<bool(const Manifest&)> still,
                                 std::function<void(const Manifest&)> work) {
    return [&machine, service, still = std::move(still), work = std::move(work)] {
        const ServiceSession session(machine, service);
        const std::optional<Manifest> manifest = Catalog(machine.paths).find(service);
        if (manifest && still(*manifest)) {
            work(*manifest);
        }
    };
}

std::function<void()> while_gone(const Examination& examination, const std::string& service,
                                 std::function<void()> work) {
    return [&machine = examination.machine, service, work = std::move(work)] {
        if (!ServiceName::is_valid(service) ||
            !exists(machine.paths.service(ServiceName(service)))) {
            work();
        }
    };
}

std::string label_value(const Labels& labels, const char* key) {
    const auto found = labels.find(key);
    return found == labels.end() ? std::string() : found->second;
}

bool is_made_by_operation(std::string_view text, std::string_view prefix, std::string_view suffix) {
    if (text.size() != prefix.size() + operation_id_length + suffix.size() ||
        !text.starts_with(prefix) || !text.ends_with(suffix)) {
        return false;
    }
    const std::string_view id = text.substr(prefix.size(), operation_id_length);
    return id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_abandoned(const Machine& machine, const std::string& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0 &&
           machine.clock.now() - std::chrono::system_clock::from_time_t(status.st_mtime) >=
               abandoned_age;
}

}  // namespace drunner
