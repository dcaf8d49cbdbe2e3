#include "engine/http.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "core/cancellation.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t longest_error_body = 64U << 10U;
constexpr std::size_t longest_body = 256U << 20U;
// How soon a wait notices cancellation and its limits.
constexpr milliseconds tick{50};

void initialise_libcurl() {
    static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (result != CURLE_OK) {
        throw Error(ErrorKind::system, "cannot initialise libcurl");
    }
}

struct ListDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

void append(HeaderList& list, const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) {
        throw std::bad_alloc();
    }
    static_cast<void>(list.release());
    list.reset(longer);
}

// What the callbacks of one request share.
struct Exchange {
    CURL* handle;
    const HttpRequest& request;
    const ByteSink& sink;
    HttpResponse response;
    std::exception_ptr thrown;  // by a sink or source; libcurl must not be unwound through
    bool too_large = false;
    bool has_headers = false;  // to their end: libcurl accepts an end among them
    Clock::time_point last_moved = Clock::now();

    // Runs what a callback does; what it throws is kept for after the transfer.
    template <typename Work>
    bool keep(Work&& work) {
        try {
            work();
        } catch (...) {
            thrown = std::current_exception();
        }
        last_moved = Clock::now();
        return thrown == nullptr;
    }
};

size_t take_header(char* data, size_t size, size_t count, void* context) {
    auto& exchange = *static_cast<Exchange*>(context);
    const size_t length = size * count;
    const bool kept = exchange.keep([&] {
        const std::string_view line = trim({data, length});
        if (line.starts_with("HTTP/")) {
            // A status line after others belongs to the next answer: of 100 Continue, a redirect
            // or a proxy.
            exchange.response = {};
            exchange.has_headers = false;
            return;
        }
        exchange.has_headers = exchange.has_headers || line.empty();
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) {
            return;
        }
        std::string name(line.substr(0, colon));
        std::transform(name.begin(), name.end(), name.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        exchange.response.headers[name] = trim(line.substr(colon + 1));
    });
    return kept ? length : 0;
}

size_t take_body(char* data, size_t size, size_t count, void* context) {
    auto& exchange = *static_cast<Exchange*>(context);
    const size_t length = size * count;
    const bool kept = exchange.keep([&] {
        long status = 0;
        curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
        std::string& body = exchange.response.body;
        if (exchange.sink && status >= 200 && status < 300) {
            exchange.sink(std::as_bytes(std::span(data, length)));
        } else if (exchange.sink) {
            body.append(data, std::min(length, longest_error_body - body.size()));
        } else if (body.size() + length > longest_body) {
            exchange.too_large = true;
        } else {
            body.append(data, length);
        }
    });
    return kept && !exchange.too_large ? length : 0;
}

size_t give_body(char* buffer, size_t size, size_t count, void* context) {
    auto& exchange = *static_cast<Exchange*>(context);
    size_t given = 0;
    const bool kept = exchange.keep([&] {
        given = exchange.request.source(std::as_writable_bytes(std::span(buffer, size * count)));
    });
    return kept ? given : CURL_READFUNC_ABORT;
}

HttpFailure::Cause cause_of(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
            return HttpFailure::Cause::unreachable;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_ENGINE_NOTFOUND:
            return HttpFailure::Cause::untrusted;
        case CURLE_OPERATION_TIMEDOUT:
            return HttpFailure::Cause::timed_out;
        default:
            return HttpFailure::Cause::broken;
    }
}

}  // namespace

// An easy handle with a multi handle of its own, which keeps the connection.
class Http::Connection {
  public:
    Connection() : multi_(curl_multi_init()), easy_(curl_easy_init()) {
        if (multi_ == nullptr || easy_ == nullptr) {
            curl_easy_cleanup(easy_);
            curl_multi_cleanup(multi_);
            throw std::bad_alloc();
        }
        curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 1L);
    }
    ~Connection() {
        curl_easy_cleanup(easy_);
        curl_multi_cleanup(multi_);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    HttpResponse perform(const HttpServer& server, const HttpRequest& request,
                         const ByteSink& sink);

  private:
    void set_server(const HttpServer& server, unsigned redirects);
    CURLcode run(Exchange& exchange);

    CURLM* multi_;
    CURL* easy_;
    std::array<char, CURL_ERROR_SIZE> error_text_{};
};

void Http::Connection::set_server(const HttpServer& server, unsigned redirects) {
    if (!server.unix_socket.empty()) {
        curl_easy_setopt(easy_, CURLOPT_UNIX_SOCKET_PATH, server.unix_socket.c_str());
    }
    if (!server.unix_socket.empty() || !server.use_proxy) {
        curl_easy_setopt(easy_, CURLOPT_NOPROXY, "*");
    }
    const bool plain = server.base.starts_with("http:");
    curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
    curl_easy_setopt(easy_, CURLOPT_REDIR_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, redirects > 0 ? 1L : 0L);
    curl_easy_setopt(easy_, CURLOPT_MAXREDIRS, static_cast<long>(redirects));
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, server.verify_peer ? 1L : 0L);
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, server.verify_peer ? 2L : 0L);
    if (!server.certificates.empty()) {
        curl_blob blob{const_cast<char*>(server.certificates.data()), server.certificates.size(),
                       CURL_BLOB_COPY};
        curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (!server.client_certificate.empty()) {
        curl_easy_setopt(easy_, CURLOPT_SSLCERT, server.client_certificate.c_str());
        curl_easy_setopt(easy_, CURLOPT_SSLKEY, server.client_key.c_str());
    }
}

CURLcode Http::Connection::run(Exchange& exchange) {
    const HttpLimits& limits = exchange.request.limits;
    const Clock::time_point started = Clock::now();
    struct Added {
        CURLM* multi;
        CURL* easy;
        Added(CURLM* m, CURL* e) : multi(m), easy(e) { curl_multi_add_handle(multi, easy); }
        ~Added() { curl_multi_remove_handle(multi, easy); }
        Added(const Added&) = delete;
        Added& operator=(const Added&) = delete;
    } const added(multi_, easy_);

    int running = 1;
    while (true) {
        if (curl_multi_perform(multi_, &running) != CURLM_OK) {
            return CURLE_FAILED_INIT;
        }
        if (running == 0) {
            break;
        }
        check_cancellation();
        const Clock::time_point now = Clock::now();
        if ((limits.idle.count() > 0 && now - exchange.last_moved >= limits.idle) ||
            (limits.total.count() > 0 && now - started >= limits.total)) {
            return CURLE_OPERATION_TIMEDOUT;
        }
        if (curl_multi_poll(multi_, nullptr, 0, static_cast<int>(tick.count()), nullptr) !=
            CURLM_OK) {
            return CURLE_FAILED_INIT;
        }
    }
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi_, &left);
    return message == nullptr ? CURLE_FAILED_INIT : message->data.result;
}

HttpResponse Http::Connection::perform(const HttpServer& server, const HttpRequest& request,
                                       const ByteSink& sink) {
    Exchange exchange{easy_, request, sink, {}, {}};
    HeaderList headers;
    // Waiting for "100 Continue" costs a round trip and the engine never refuses early.
    append(headers, "Expect:");
    for (const std::string& line : request.headers) {
        append(headers, line);
    }

    curl_easy_reset(easy_);
    error_text_.front() = '\0';
    const std::string url = server.base + request.path;
    set_server(server, request.redirects);
    curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy_, CURLOPT_USERAGENT, "drunner");
    curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_text_.data());
    curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(request.limits.connect.count()));
    curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy_, CURLOPT_HEADERDATA, &exchange);
    curl_easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy_, CURLOPT_WRITEDATA, &exchange);
    const bool reading = request.method == "GET" || request.method == "HEAD";
    if (!reading) {
        curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
    }
    if (request.source) {
        curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy_, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(easy_, CURLOPT_READDATA, &exchange);
        append(headers, "Transfer-Encoding: chunked");
    } else if (request.method == "HEAD") {
        curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
    } else if (!reading) {
        curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                         static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request.body.c_str());
    }
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers.get());

    const CURLcode code = run(exchange);
    if (exchange.thrown) {
        std::rethrow_exception(exchange.thrown);
    }
    if (exchange.too_large) {
        throw HttpFailure(HttpFailure::Cause::too_large, "the answer is too large");
    }
    if (code != CURLE_OK) {
        long error_number = 0;
        curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &error_number);
        const char* text =
            error_text_.front() != '\0' ? error_text_.data() : curl_easy_strerror(code);
        throw HttpFailure(cause_of(code), printable(text), static_cast<int>(error_number));
    }
    if (!exchange.has_headers) {
        throw HttpFailure(HttpFailure::Cause::broken, "the connection ended among the headers");
    }
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    exchange.response.status = static_cast<int>(status);
    return std::move(exchange.response);
}

// A connection out of the pool for one request.
class Http::Lease {
  public:
    explicit Lease(Http& http) : http_(http) {
        std::unique_lock lock(http_.mutex_);
        while (http_.in_use_ >= http_.server_.connections) {
            check_cancellation();
            http_.returned_.wait_for(lock, tick);
        }
        if (!http_.idle_.empty()) {
            connection_ = std::move(http_.idle_.back());
            http_.idle_.pop_back();
        } else {
            connection_ = std::make_unique<Connection>();
        }
        ++http_.in_use_;
    }
    ~Lease() {
        {
            const std::lock_guard lock(http_.mutex_);
            --http_.in_use_;
            http_.idle_.push_back(std::move(connection_));
        }
        http_.returned_.notify_one();
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    Connection& operator*() const { return *connection_; }

  private:
    Http& http_;
    std::unique_ptr<Connection> connection_;
};

std::string HttpResponse::header(const std::string& lower_case_name) const {
    const auto found = headers.find(lower_case_name);
    return found == headers.end() ? std::string() : found->second;
}

HttpFailure::HttpFailure(Cause cause, const std::string& message, int error_number)
    : Error(cause == Cause::timed_out ? ErrorKind::timed_out : ErrorKind::system, message),
      cause_(cause),
      error_number_(error_number) {}

Http::Http(HttpServer server) : server_(std::move(server)) {
    initialise_libcurl();
}
Http::~Http() = default;

HttpResponse Http::perform(const HttpRequest& request, const ByteSink& sink) {
    check_cancellation();
    const Lease lease(*this);
    return (*lease).perform(server_, request, sink);
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    constexpr std::string_view unreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string encoded;
    for (const char c : text) {
        if (unreserved.find(c) != std::string_view::npos ||
            kept.find(c) != std::string_view::npos) {
            encoded += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            encoded += '%';
            encoded += digits[byte >> 4U];
            encoded += digits[byte & 0xfU];
        }
    }
    return encoded;
}

Error socket_error(const std::string& socket, int error_number) {
    const std::string shown = "'" + printable(socket) + "'";
    if (error_number == EACCES || error_number == EPERM) {
        return Error(ErrorKind::engine_denied,
                     "no permission on the container engine's socket " + shown, "sudo -i");
    }
    return Error(ErrorKind::engine_unreachable,
                 "cannot connect to the container engine at " + shown +
                     (error_number == 0 ? "" : std::string(": ") + std::strerror(error_number)),
                 "systemctl start docker");
}

}  // namespace drunner
