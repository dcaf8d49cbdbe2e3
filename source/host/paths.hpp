#pragma once

#include <string>

#include "core/service_name.hpp"

namespace drunner {

// The owner of every name that drunner has on disk. With a prefix P (DRUNNER_PREFIX) everything
// stands below P; without one P is empty.
//
//   P/etc/drunner/config.sh                       the operator's settings
//   P/var/lib/drunner/installation                a random id of this installation
//   P/var/lib/drunner/services/S/service.json     the manifest; there = S is installed
//   P/var/lib/drunner/services/S/drunner          symbolic link -> releases/N/drunner, the current
//   P/var/lib/drunner/services/S/imagename.sh     symbolic link -> drunner/../imagename.sh
//   P/var/lib/drunner/services/S/releases/N/      one release: drunner/ and imagename.sh
//   P/var/lib/drunner/services/S/releases/N/data/ the data that release N was left with
//   P/var/lib/drunner/services/S/snapshot-ID/     the data before the operation ID
//   P/var/lib/drunner/services/S/secrets/NAME/    a secret
//   P/var/lib/drunner/services/S/temp             SERVICETEMPDIR
//   P/var/lib/drunner/services/S/journal          of the operation in progress
//   P/var/lib/drunner/accepted                    who accepted which scripts
//   P/var/lib/drunner/tests/ID/                   the prefix of a `drunner test` that goes on
//   P/var/lib/drunner/images/                     what was read out of images, a cache
//   P/var/lib/drunner/backups/S/                  backups without a FILE
//   P/var/lib/drunner/schedules/ID.json           a schedule
//   P/var/lib/drunner/undelete/S-UTC.tar.zst      final backups of obliterated services
//   P/var/lib/drunner/undelete/S-UTC.tar.zst.secrets/  the secrets that one does not hold
//   P/run/drunner/S.lock                          the lock of a service
//   P/run/drunner/S+drill.lock                    held while a backup of S is tried ('+' is in no
//                                                 service's name)
//   P/run/drunner/T+tenant.lock                   held while a container of tenant T comes or goes
//   P/run/drunner/serve.sock, serve+.lock         where drunner serve listens, and that it runs
//   P/run/drunner/watch+.lock                     held by drunner watch
//   P/run/drunner/audit+.lock                     held while a line is added to the audit trail
//   P/run/drunner/schedules+.lock                 held while a schedule or its timer changes
//   P/run/drunner/ID+schedule.lock                held while a scheduled job runs
//   P/etc/systemd/system/, P/etc/cron.d/drunner   timers of schedules
//   P/run/systemd/system                          is there where systemd runs
//   P/var/log/drunner/                            log
//   P/var/log/drunner/audit*.log                  audit trail
//   P/usr/local/bin/S                             launchers (LAUNCHERDIR)
class Paths {
  public:
    explicit Paths(std::string prefix);

    const std::string& prefix() const { return prefix_; }

    std::string config_file() const;
    std::string state() const;  // P/var/lib/drunner
    std::string installation_id() const;
    std::string services() const;
    std::string service(const ServiceName& name) const;
    std::string manifest(const ServiceName& name) const;
    std::string scripts(const ServiceName& name) const;
    std::string servicerunner(const ServiceName& name) const;
    std::string imagename(const ServiceName& name) const;
    std::string releases(const ServiceName& name) const;
    std::string release(const ServiceName& name, int number) const;
    std::string release_scripts(const ServiceName& name, int number) const;
    std::string kept_data(const ServiceName& name, int number) const;
    std::string snapshot(const ServiceName& name, const std::string& operation) const;
    std::string secrets(const ServiceName& name) const;
    std::string secret(const ServiceName& name, const std::string& secret) const;
    std::string temp(const ServiceName& name) const;
    std::string journal(const ServiceName& name) const;
    std::string accepted_scripts() const;
    std::string tests() const;
    std::string images() const;
    std::string backups() const;
    std::string backups(const ServiceName& name) const;
    std::string undelete() const;
    std::string schedules() const;
    std::string schedules_lock() const;
    std::string schedule_lock(const std::string& id) const;
    std::string systemd_units() const;
    std::string systemd_runs() const;
    std::string cron_table() const;
    std::string locks() const;
    std::string lock(const ServiceName& name) const;
    std::string drill_lock(const ServiceName& name) const;
    std::string tenant_lock(const std::string& tenant) const;
    std::string serve_socket() const;
    std::string serve_lock() const;
    std::string watch_lock() const;
    std::string log_directory() const;
    std::string audit_lock() const;
    std::string default_launcher_directory() const;

  private:
    std::string prefix_;
};

}  // namespace drunner
