#pragma once

#include <span>
#include <string_view>

#include "cli/command.hpp"

namespace drunner {

// The one table of commands: dispatch, help, completion and "did you mean" read it.
std::span<const Command> commands();
const Command* find_command(std::string_view name);

// Options that stand before or after every command.
std::span<const OptionRow> global_options();

// One in each file of commands/.
extern const Command install_command;
extern const Command update_command;
extern const Command configure_command;
extern const Command settings_command;
extern const Command secret_command;
extern const Command rollback_command;
extern const Command uninstall_command;
extern const Command obliterate_command;
extern const Command recover_command;
extern const Command backup_command;
extern const Command restore_command;
extern const Command verify_command;
extern const Command drill_command;
extern const Command prune_command;
extern const Command keygen_command;
extern const Command show_command;
extern const Command list_command;
extern const Command status_command;
extern const Command inspect_command;
extern const Command enter_command;
extern const Command servicecmd_command;
extern const Command checkimage_command;
extern const Command new_command;
extern const Command diff_command;
extern const Command trust_command;
extern const Command test_command;
extern const Command dev_command;

extern const Command clean_command;
extern const Command hold_command;
extern const Command undelete_command;
extern const Command container_command;
extern const Command serve_command;
extern const Command watch_command;
extern const Command ensure_command;
extern const Command doctor_command;
extern const Command registry_command;
extern const Command schedule_command;
extern const Command log_command;
extern const Command logs_command;
extern const Command metrics_command;
extern const Command help_command;
extern const Command completion_command;

}  // namespace drunner
