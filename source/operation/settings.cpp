#include "operation/settings.hpp"

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"

namespace drunner {
namespace {

std::vector<SettingState> states_of(const Manifest& manifest) {
    const ServiceConfig& config = manifest.release().config;
    const Settings values = effective_settings(config, manifest.settings);
    std::vector<SettingState> states;
    for (const SettingDeclaration& declared : config.settings) {
        states.push_back(
            {declared, values.at(declared.name), manifest.settings.contains(declared.name)});
    }
    return states;
}

}  // namespace

std::vector<SettingState> settings_of(Machine& machine, const ServiceName& name) {
    return states_of(Catalog(machine.paths).load(name));
}

void require_variables(const Machine& machine, const ServiceName& service) {
    const std::string file = machine.paths.scripts(service) + "/variables.sh";
    if (file_type(file) != FileType::regular) {
        throw Error(ErrorKind::broken, "'" + file + "' is missing",
                    "drunner recover " + service.text());
    }
}

ConfigureResult configure(Machine& machine, const ServiceName& name,
                          const ConfigureRequest& request) {
    const ServiceSession session(machine, name);
    const Manifest manifest = Catalog(machine.paths).load(name);
    Manifest next = manifest;
    for (const auto& [setting, value] : request.values) {
        next.settings[setting] = checked_setting(declared_setting(manifest, setting), value);
    }
    for (const std::string& setting : request.cleared) {
        // What an earlier release declared can be cleared as well.
        if (next.settings.erase(setting) == 0) {
            declared_setting(manifest, setting);
        }
    }

    const ServiceConfig& config = manifest.release().config;
    const Settings before = effective_settings(config, manifest.settings);
    ConfigureResult result;
    result.settings = states_of(next);
    result.missing = missing_settings(config, next.settings);
    for (const SettingState& state : result.settings) {
        if (before.at(state.declaration.name) != state.value) {
            result.changed.push_back(state.declaration.name);
        }
    }
    if (next.settings == manifest.settings) {
        return result;
    }
    require_variables(machine, name);
    result.outcome = Outcome::changed;
    tell_facts(machine, name, facts_of(manifest), facts_of(next));
    if (machine.check) {
        return result;
    }
    transact(machine, name, "configure", [&](Transaction& transaction) {
        transaction.perform(write_variables(machine, next));
        transaction.perform(write_manifest(machine, next));
    });
    return result;
}

}  // namespace drunner
