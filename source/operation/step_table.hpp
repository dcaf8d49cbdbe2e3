#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "core/service_name.hpp"
#include "operation/machine.hpp"

namespace drunner {

// What a journal can name. Undo asks the machine what is there, may run twice, may run when the
// step was never performed, and never removes what its operation did not make.
struct UndoContext {
    Machine& machine;
    const ServiceName& service;
    std::string_view operation;  // the operation's id, as in the label drunner.operation
};

struct StepRow {
    std::string_view name;
    void (*undo)(const UndoContext& context, const nlohmann::json& parameters);
};

struct FinishRow {
    std::string_view name;
    void (*perform)(Machine& machine, const ServiceName& service, const nlohmann::json& parameters);
};

// The one table of steps and the one of finishes. An unknown name in a journal throws
// Error(unfinished).
const StepRow& find_step(std::string_view name);
const FinishRow& find_finish(std::string_view name);

}  // namespace drunner
