#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "operation/step_table.hpp"
#include "operation/transaction.hpp"
#include "service/secrets.hpp"

namespace drunner {

// The steps that change a service's secrets. What stands in the journal are names: the contents go
// into files of root's beside the old ones, and the two change places.

// Sets all of these; those that are there already and not named stay.
void place_secrets(Machine& machine, Transaction& transaction, const ServiceName& service,
                   const Secrets& secrets);
// Takes one away.
void withdraw_secret(Machine& machine, Transaction& transaction, const ServiceName& service,
                     const std::string& name);

void undo_exchange_secret(const UndoContext& context, const nlohmann::json& parameters);

// After the commit: what only root can read of the service goes there, where obliterate keeps it
// beside a final backup that does not hold it.
Finish keeping_secrets(const std::string& directory);
void finish_keeping_secrets(Machine& machine, const ServiceName& service,
                            const nlohmann::json& parameters);

}  // namespace drunner
