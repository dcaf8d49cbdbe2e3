#include "operation/secrets.hpp"

#include <algorithm>
#include <map>

#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/changes.hpp"
#include "operation/secret_steps.hpp"
#include "operation/session.hpp"
#include "operation/settings.hpp"
#include "operation/steps.hpp"

namespace drunner {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// Null where the service does not declare it.
const SecretDeclaration* declaration_of(const Manifest& manifest, const std::string& secret) {
    const std::vector<SecretDeclaration>& declared = manifest.release().config.secrets;
    const auto found = std::find_if(declared.begin(), declared.end(),
                                    [&](const auto& one) { return one.name == secret; });
    return found == declared.end() ? nullptr : &*found;
}

void require_declared(const Manifest& manifest, const std::string& secret) {
    // What an earlier release declared may still be needed by a rollback.
    if (!manifest.release().config.secrets.empty() && declaration_of(manifest, secret) == nullptr &&
        !contains(manifest.secrets, secret)) {
        throw Error(ErrorKind::usage,
                    "'" + manifest.name.text() + "' has no secret '" + secret + "'",
                    "drunner secret " + manifest.name.text() + " ls");
    }
}

// Lets the scripts refuse a content that makes no sense, where they said that they can tell.
void show_to_scripts(Machine& machine, Transaction& transaction, const Manifest& manifest,
                     const std::string& secret, const Secret& content) {
    const SecretDeclaration* declaration = declaration_of(manifest, secret);
    if (declaration != nullptr && declaration->check) {
        const int version = manifest.release().config.version;
        transaction.perform(run_hook(machine, manifest.name, transaction.journal(),
                                     {Hook::check_secret, version, {secret}, "secret", content}));
    }
}

// The scripts read which secrets the service needs from variables.sh.
void write_names(Machine& machine, Transaction& transaction, const Manifest& before,
                 const Manifest& after) {
    if (before.secrets != after.secrets) {
        transaction.perform(write_variables(machine, after));
        transaction.perform(write_manifest(machine, after));
    }
}

void require_names_writable(const Machine& machine, const Manifest& before, const Manifest& after) {
    if (before.secrets != after.secrets) {
        require_variables(machine, after.name);
    }
}

}  // namespace

std::vector<SecretState> secrets_of(Machine& machine, const ServiceName& name) {
    const Manifest manifest = Catalog(machine.paths).load(name);
    const SecretStore store(machine.paths.secrets(name));
    std::map<std::string, SecretState> states;
    for (const SecretDeclaration& declared : manifest.release().config.secrets) {
        states[declared.name].text = declared.text;
    }
    for (const std::string& secret : required_secrets(manifest, manifest.release())) {
        states[secret].required = true;
    }
    for (const std::string& secret : store.names()) {
        const SecretStore::Facts facts = *store.facts(secret);
        SecretState& state = states[secret];
        state.set = true;
        state.size = facts.size;
        state.changed_at = iso8601(TimePoint(std::chrono::seconds(facts.changed)));
    }
    std::vector<SecretState> sorted;
    for (auto& [secret, state] : states) {
        state.name = secret;
        sorted.push_back(std::move(state));
    }
    return sorted;
}

SecretResult set_secret(Machine& machine, const ServiceName& name, const std::string& secret,
                        const Secret& content) {
    check_secret_name(secret);
    const ServiceSession session(machine, name);
    const Manifest manifest = Catalog(machine.paths).load(name);
    require_declared(manifest, secret);
    const SecretStore store(machine.paths.secrets(name));
    Secrets all = store.all();
    const auto before = all.find(secret);
    const bool stood = before != all.end();
    const bool same = stood && before->second.reveal() == content.reveal();
    all[secret] = content;
    check_secrets(all);
    Manifest next = manifest;
    if (!contains(next.secrets, secret)) {
        next.secrets.push_back(secret);
        std::sort(next.secrets.begin(), next.secrets.end());
    }
    SecretResult result;
    if (!same || next.secrets != manifest.secrets) {
        require_names_writable(machine, manifest, next);
        result.outcome = Outcome::changed;
        Facts after = facts_of(next);
        after["secret " + secret] = stood && !same ? "(changed)" : "set";
        tell_facts(machine, name, facts_of(manifest), after);
    }
    if (result.outcome == Outcome::changed && !machine.check) {
        transact(machine, name, "secret", [&](Transaction& transaction) {
            show_to_scripts(machine, transaction, manifest, secret, content);
            place_secrets(machine, transaction, name, {{secret, content}});
            write_names(machine, transaction, manifest, next);
        });
    }
    result.missing = missing_secrets(store, next);
    if (machine.check) {
        std::erase(result.missing, secret);
    }
    return result;
}

SecretResult remove_secret(Machine& machine, const ServiceName& name, const std::string& secret) {
    check_secret_name(secret);
    const ServiceSession session(machine, name);
    const Manifest manifest = Catalog(machine.paths).load(name);
    const SecretStore store(machine.paths.secrets(name));
    const bool has = store.has(secret);
    Manifest next = manifest;
    std::erase(next.secrets, secret);
    SecretResult result;
    if (has || next.secrets != manifest.secrets) {
        require_names_writable(machine, manifest, next);
        result.outcome = Outcome::changed;
        Facts before = facts_of(manifest);
        before["secret " + secret] = has ? "set" : "lost";
        Facts after = facts_of(next);
        after.erase("secret " + secret);
        tell_facts(machine, name, before, after);
    }
    if (result.outcome == Outcome::changed && !machine.check) {
        transact(machine, name, "secret", [&](Transaction& transaction) {
            if (has) {
                withdraw_secret(machine, transaction, name, secret);
            }
            write_names(machine, transaction, manifest, next);
        });
    }
    result.missing = missing_secrets(store, next);
    return result;
}

}  // namespace drunner
