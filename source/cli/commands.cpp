#include "cli/commands.hpp"

#include <algorithm>
#include <array>

namespace drunner {
namespace {

constexpr std::array global_rows{
    OptionRow{"help", 'h', nullptr, "say what the command does"},
    OptionRow{"host", 'H', "URL", "the engine's socket, unix:///path"},
    OptionRow{"json", 0, nullptr, "answer with one JSON document"},
    OptionRow{"check", 0, nullptr, "say what would change, and change nothing"},
    OptionRow{"diff", 0, nullptr, "show what changes as a unified diff"},
    OptionRow{"progress", 0, "json", "tell what happens meanwhile as JSON lines on stderr"},
    OptionRow{"verbose", 'v', nullptr, "say more"},
    OptionRow{"quiet", 'q', nullptr, "say only what went wrong"},
    OptionRow{"no-color", 0, nullptr, "no colours (also NO_COLOR)"},
    OptionRow{"wait", 0, "SECONDS", "wait that long for another drunner's lock"},
};

}  // namespace

std::span<const Command> commands() {
    static const std::array table{
        install_command,    update_command,     rollback_command,   uninstall_command,
        obliterate_command, undelete_command,   recover_command,    backup_command,
        restore_command,    verify_command,     show_command,       drill_command,
        prune_command,      keygen_command,     list_command,       status_command,
        inspect_command,    enter_command,      servicecmd_command, configure_command,
        settings_command,   secret_command,     hold_command,       new_command,
        checkimage_command, test_command,       dev_command,        diff_command,
        trust_command,      doctor_command,     clean_command,      container_command,
        serve_command,      watch_command,      ensure_command,     registry_command,
        schedule_command,   log_command,        logs_command,       metrics_command,
        help_command,       completion_command,
    };
    return table;
}

const Command* find_command(std::string_view name) {
    const auto table = commands();
    const auto found = std::find_if(table.begin(), table.end(),
                                    [&](const Command& one) { return one.name == name; });
    return found == table.end() ? nullptr : &*found;
}

std::span<const OptionRow> global_options() {
    return global_rows;
}

}  // namespace drunner
