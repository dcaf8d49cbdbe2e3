#pragma once

#include <string>
#include <vector>

#include "core/exit_code.hpp"
#include "core/service_name.hpp"
#include "operation/machine.hpp"
#include "service/settings.hpp"

namespace drunner {

struct SettingState {
    SettingDeclaration declaration;
    std::string value;   // as the scripts see it
    bool given = false;  // by the operator, not by default
};

// Every setting that the service declares, in the order of servicecfg.sh. Takes no lock.
std::vector<SettingState> settings_of(Machine& machine, const ServiceName& name);

// Throws Error(broken) where the variables.sh that is to be written anew is lost, and the scripts
// with it.
void require_variables(const Machine& machine, const ServiceName& service);

struct ConfigureRequest {
    Settings values;                   // to set
    std::vector<std::string> cleared;  // back to their defaults
};
struct ConfigureResult {
    Outcome outcome = Outcome::unchanged;
    std::vector<std::string> changed;  // names
    std::vector<SettingState> settings;
    std::vector<std::string> missing;  // required ones without a value
};
// The scripts see the new values at once; hooks run with them at the next update, which takes a
// changed setting for a change. Throws Error(usage) for a setting that is not declared, or a value
// of another type.
ConfigureResult configure(Machine& machine, const ServiceName& name,
                          const ConfigureRequest& request);

}  // namespace drunner
