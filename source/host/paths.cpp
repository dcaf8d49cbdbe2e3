#include "host/paths.hpp"

#include <utility>

namespace drunner {

Paths::Paths(std::string prefix) : prefix_(std::move(prefix)) {
    while (!prefix_.empty() && prefix_.back() == '/') {
        prefix_.pop_back();
    }
}

std::string Paths::config_file() const {
    return prefix_ + "/etc/drunner/config.sh";
}
std::string Paths::state() const {
    return prefix_ + "/var/lib/drunner";
}
std::string Paths::installation_id() const {
    return state() + "/installation";
}
std::string Paths::services() const {
    return state() + "/services";
}
std::string Paths::service(const ServiceName& name) const {
    return services() + "/" + name.text();
}
std::string Paths::manifest(const ServiceName& name) const {
    return service(name) + "/service.json";
}
std::string Paths::scripts(const ServiceName& name) const {
    return service(name) + "/drunner";
}
std::string Paths::servicerunner(const ServiceName& name) const {
    return scripts(name) + "/servicerunner";
}
std::string Paths::imagename(const ServiceName& name) const {
    return service(name) + "/imagename.sh";
}
std::string Paths::releases(const ServiceName& name) const {
    return service(name) + "/releases";
}
std::string Paths::release(const ServiceName& name, int number) const {
    return releases(name) + "/" + std::to_string(number);
}
std::string Paths::release_scripts(const ServiceName& name, int number) const {
    return release(name, number) + "/drunner";
}
std::string Paths::kept_data(const ServiceName& name, int number) const {
    return release(name, number) + "/data";
}
std::string Paths::snapshot(const ServiceName& name, const std::string& operation) const {
    return service(name) + "/snapshot-" + operation;
}
std::string Paths::secrets(const ServiceName& name) const {
    return service(name) + "/secrets";
}
std::string Paths::secret(const ServiceName& name, const std::string& secret) const {
    return secrets(name) + "/" + secret;
}
std::string Paths::temp(const ServiceName& name) const {
    return service(name) + "/temp";
}
std::string Paths::journal(const ServiceName& name) const {
    return service(name) + "/journal";
}
std::string Paths::accepted_scripts() const {
    return state() + "/accepted";
}

std::string Paths::tests() const {
    return state() + "/tests";
}

std::string Paths::images() const {
    return state() + "/images";
}
std::string Paths::backups() const {
    return state() + "/backups";
}
std::string Paths::backups(const ServiceName& name) const {
    return backups() + "/" + name.text();
}
std::string Paths::undelete() const {
    return state() + "/undelete";
}
std::string Paths::locks() const {
    return prefix_ + "/run/drunner";
}
std::string Paths::lock(const ServiceName& name) const {
    return locks() + "/" + name.text() + ".lock";
}
std::string Paths::drill_lock(const ServiceName& name) const {
    return locks() + "/" + name.text() + "+drill.lock";
}
std::string Paths::tenant_lock(const std::string& tenant) const {
    return locks() + "/" + tenant + "+tenant.lock";
}

std::string Paths::serve_socket() const {
    return locks() + "/serve.sock";
}

std::string Paths::serve_lock() const {
    return locks() + "/serve+.lock";
}

std::string Paths::watch_lock() const {
    return locks() + "/watch+.lock";
}

std::string Paths::audit_lock() const {
    return locks() + "/audit+.lock";
}

std::string Paths::schedules() const {
    return state() + "/schedules";
}

std::string Paths::schedules_lock() const {
    return locks() + "/schedules+.lock";
}

std::string Paths::schedule_lock(const std::string& id) const {
    return locks() + "/" + id + "+schedule.lock";
}

std::string Paths::systemd_units() const {
    return prefix_ + "/etc/systemd/system";
}

std::string Paths::systemd_runs() const {
    return prefix_ + "/run/systemd/system";
}

std::string Paths::cron_table() const {
    return prefix_ + "/etc/cron.d/drunner";
}

std::string Paths::log_directory() const {
    return prefix_ + "/var/log/drunner";
}
std::string Paths::default_launcher_directory() const {
    return prefix_ + "/usr/local/bin";
}

}  // namespace drunner
