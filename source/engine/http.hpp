#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace drunner {

// How long a request may take; 0 means no limit.
struct HttpLimits {
    std::chrono::milliseconds connect{10'000};
    // Ends the request when not a byte moved in either direction for this long. The time that
    // sinks and sources take for themselves does not count.
    std::chrono::milliseconds idle{60'000};
    std::chrono::milliseconds total{0};
};

struct HttpRequest {
    std::string method = "GET";
    std::string path;                  // "/v2/app/manifests/1?x=y", already percent-encoded
    std::vector<std::string> headers;  // "Name: value"
    std::string body;
    // Where it is set it is the body, sent in chunks and only once.
    ByteSource source;
    HttpLimits limits;
    // To https only, unless the server itself is plain; credentials stay with the first host.
    unsigned redirects = 0;
};

struct HttpResponse {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case, the last of equal names
    // Without a sink the whole body; with one the body of an answer other than 2xx. Then it is
    // cut at 64 KiB and the rest is drained.
    std::string body;

    // Empty where there is no such header.
    std::string header(const std::string& lower_case_name) const;
    bool succeeded() const { return status >= 200 && status < 300; }
};

// No complete answer came.
class HttpFailure : public Error {
  public:
    enum class Cause {
        unreachable,  // no connection
        untrusted,    // TLS failed
        broken,       // the connection ended before the answer did
        timed_out,
        too_large,  // a body without a sink exceeded its bound
    };

    HttpFailure(Cause cause, const std::string& message, int error_number = 0);

    Cause cause() const { return cause_; }
    // errno of the failed connect, 0 where there is none.
    int error_number() const { return error_number_; }

  private:
    Cause cause_;
    int error_number_;
};

struct HttpServer {
    std::string base;         // "http://engine", "https://registry.example:5000"
    std::string unix_socket;  // empty: TCP
    bool verify_peer = true;
    std::string certificates;        // PEM text of further CAs, beside the system's
    std::string client_certificate;  // path of a PEM file, empty for none
    std::string client_key;          // path of its key
    bool use_proxy = true;           // of the environment; never for Unix sockets
    // Requests beyond this wait for one of those in progress to end.
    unsigned connections = 16;
};

// One HTTP server, over a Unix socket or TCP, with connections kept for the next request. The only
// place that knows libcurl. May be used from several threads.
//
// Throws HttpFailure, Error(interrupted) soon after cancellation is pending, and whatever a sink or
// source throws; an answer of any status is an answer. Only GET and HEAD go over a kept connection:
// libcurl sends a request again when a kept one turns out dead, and what changes something must
// not happen twice.
class Http {
  public:
    explicit Http(HttpServer server);
    ~Http();
    Http(const Http&) = delete;
    Http& operator=(const Http&) = delete;

    // `sink` takes the body of an answer with a 2xx status as it comes.
    HttpResponse perform(const HttpRequest& request, const ByteSink& sink = {});

    const HttpServer& server() const { return server_; }

  private:
    class Connection;
    class Lease;

    HttpServer server_;
    std::mutex mutex_;
    std::condition_variable returned_;
    std::vector<std::unique_ptr<Connection>> idle_;
    unsigned in_use_ = 0;
};

// Percent-encodes everything but letters, digits, "-._~" and what `kept` lists.
std::string percent_encoded(std::string_view text, std::string_view kept = "");

// The words of the Unix socket's connect error for a person: engine_unreachable where nothing
// listens, engine_denied without permission.
Error socket_error(const std::string& socket, int error_number);

}  // namespace drunner
