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

// Copies all of them to a directory that is not there yet, where obliterate keeps them beside a
// final backup that does not hold them. A step, since the store goes after the commit.
void keep_secrets(Machine& machine, Transaction& transaction, const ServiceName& service,
                  const std::string& directory);

}  // namespace drunner
