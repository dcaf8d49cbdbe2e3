#pragma once

#include <string>
#include <string_view>

#include "container/tenant_containers.hpp"
#include "core/error.hpp"

namespace drunner {

// One call of `drunner serve`: a JSON object in, a JSON object out, both on one line. README.md of
// this folder tells the calls. Answers {"result": ...} or {"error": {...}}, with the request's
// "tag" where it has one. Never throws; may be called from several threads.
std::string answer_call(const ContainerHost& host, std::string_view line);

// The answer to something that cannot be served: {"error": {...}}.
std::string refused_call(const Error& error);

}  // namespace drunner
