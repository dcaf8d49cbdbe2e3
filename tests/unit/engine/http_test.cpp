#include "engine/http.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "fakes/scripted_peer.hpp"
#include "fakes/temporary_directory.hpp"

using namespace drunner;
using namespace drunner::test;
using std::chrono::milliseconds;

namespace {

HttpServer server_at(const std::string& socket) {
    HttpServer server;
    server.base = "http://engine";
    server.unix_socket = socket;
    return server;
}

struct UnixPeer {
    explicit UnixPeer(ScriptedPeer::Script script)
        : socket(directory.path() + "/s"),
          peer(socket, std::move(script)),
          http(server_at(socket)) {}

    TemporaryDirectory directory;
    std::string socket;
    ScriptedPeer peer;
    Http http;
};

HttpFailure::Cause cause_of(Http& http, const HttpRequest& request) {
    try {
        http.perform(request);
    } catch (const HttpFailure& failure) {
        return failure.cause();
    }
    FAIL("an answer came");
    return HttpFailure::Cause::broken;
}

}  // namespace

TEST_CASE("answers of any status come back with headers and body") {
    UnixPeer peer([](const PeerRequest& request) {
        return request.path == "/ok" ? reply(200, "yes", {"X-One: 1", "x-ONE: 2"})
                                     : reply(404, "no");
    });
    HttpRequest request;
    request.path = "/ok";
    const HttpResponse found = peer.http.perform(request);
    CHECK(found.status == 200);
    CHECK(found.succeeded());
    CHECK(found.body == "yes");
    CHECK(found.header("x-one") == "2");
    CHECK(found.header("absent").empty());
    request.path = "/other";
    const HttpResponse absent = peer.http.perform(request);
    CHECK(absent.status == 404);
    CHECK_FALSE(absent.succeeded());
    CHECK(absent.body == "no");
}

TEST_CASE("readers keep their connection, changes get one of their own") {
    UnixPeer peer([](const PeerRequest&) { return reply(200, "x"); });
    HttpRequest request;
    request.path = "/a";
    for (int i = 0; i < 3; ++i) {
        peer.http.perform(request);
    }
    CHECK(peer.peer.requests().back().connection == 1);
    request.method = "POST";
    request.body = "change";
    peer.http.perform(request);
    CHECK(peer.peer.requests().back().connection == 2);
    CHECK(peer.peer.requests().back().body == "change");
}

TEST_CASE("a change whose answer is lost is not sent again") {
    UnixPeer peer([](const PeerRequest& request) {
        return request.method == "GET" ? reply(200, "") : PeerReply{"", PeerReply::After::close};
    });
    HttpRequest request;
    request.path = "/a";
    peer.http.perform(request);
    request.method = "POST";
    CHECK(cause_of(peer.http, request) == HttpFailure::Cause::broken);
    CHECK(peer.peer.requests().size() == 2);
}

TEST_CASE("bodies stream in both directions") {
    const std::string large(700'000, 'x');
    UnixPeer peer([&](const PeerRequest& request) {
        return request.method == "PUT" ? reply(200, "")
                                       : chunked(200, {"one", "two", large, "end"});
    });
    HttpRequest upload;
    upload.method = "PUT";
    upload.path = "/up";
    std::size_t sent = 0;
    upload.source = [&](std::span<std::byte> buffer) {
        const std::size_t count = std::min(buffer.size(), large.size() - sent);
        std::memcpy(buffer.data(), large.data(), count);
        sent += count;
        return count;
    };
    CHECK(peer.http.perform(upload).status == 200);
    CHECK(peer.peer.requests().front().body == large);

    HttpRequest download;
    download.path = "/down";
    std::string received;
    const HttpResponse response =
        peer.http.perform(download, [&](Bytes bytes) { received += as_text(bytes); });
    CHECK(received == "onetwo" + large + "end");
    CHECK(response.body.empty());
}

TEST_CASE("what a sink or a source throws comes out, and the next request works") {
    UnixPeer peer([](const PeerRequest&) { return reply(200, "body"); });
    HttpRequest request;
    request.path = "/x";
    CHECK_THROWS_WITH(
        peer.http.perform(request, [](Bytes) { throw std::runtime_error("disk full"); }),
        "disk full");
    request.method = "PUT";
    request.source = [](std::span<std::byte>) -> std::size_t {
        throw std::runtime_error("unreadable");
    };
    CHECK_THROWS_WITH(peer.http.perform(request), "unreadable");
    HttpRequest next;
    next.path = "/x";
    CHECK(peer.http.perform(next).body == "body");
}

TEST_CASE("the body of a refusal does not reach the sink and is bounded") {
    UnixPeer peer([](const PeerRequest&) { return reply(500, std::string(300'000, 'e')); });
    HttpRequest request;
    request.path = "/x";
    bool sunk = false;
    const HttpResponse response = peer.http.perform(request, [&](Bytes) { sunk = true; });
    CHECK_FALSE(sunk);
    CHECK(response.body.size() == 65536);
    peer.http.perform(request);
    CHECK(peer.peer.requests().back().connection == 1);
}

TEST_CASE("an answer that is cut is a failure") {
    UnixPeer peer([](const PeerRequest& request) {
        if (request.path == "/chunked") {
            return chunked(200, {"begin"}, false);
        }
        if (request.path == "/length") {
            return PeerReply{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                             PeerReply::After::close};
        }
        return PeerReply{"HTTP/1.1 200 OK\r\nConte", PeerReply::After::close};
    });
    for (const char* path : {"/chunked", "/length", "/header"}) {
        CAPTURE(path);
        HttpRequest request;
        request.path = path;
        request.method = "POST";
        CHECK(cause_of(peer.http, request) == HttpFailure::Cause::broken);
    }
}

TEST_CASE("a peer that hangs meets the limits") {
    UnixPeer peer([](const PeerRequest&) {
        return PeerReply{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                         PeerReply::After::hang};
    });
    HttpRequest request;
    request.path = "/x";
    request.limits.idle = milliseconds{20};
    CHECK(cause_of(peer.http, request) == HttpFailure::Cause::timed_out);
    request.limits.idle = milliseconds{0};
    request.limits.total = milliseconds{20};
    CHECK(cause_of(peer.http, request) == HttpFailure::Cause::timed_out);
}

TEST_CASE("a request ends when cancellation is pending") {
    UnixPeer peer([](const PeerRequest&) {
        request_cancellation(SIGTERM);
        return PeerReply{"", PeerReply::After::hang};
    });
    HttpRequest request;
    request.path = "/x";
    request.limits.idle = milliseconds{0};
    CHECK_THROWS_WITH(peer.http.perform(request), "interrupted by SIGTERM");
    CHECK_THROWS_WITH(peer.http.perform(request), "interrupted by SIGTERM");
    CHECK(peer.peer.requests().size() == 1);
    request_cancellation(0);
}

TEST_CASE("no more connections are open than allowed") {
    const TemporaryDirectory directory;
    const std::string socket = directory.path() + "/s";
    ScriptedPeer peer(socket, [](const PeerRequest&) {
        std::this_thread::sleep_for(milliseconds{5});
        return reply(200, "");
    });
    HttpServer server = server_at(socket);
    server.connections = 2;
    Http http(server);
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) {
        threads.emplace_back([&] {
            HttpRequest request;
            request.path = "/x";
            http.perform(request);
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(peer.requests().size() == 6);
    CHECK(peer.most_connections() <= 2);
}

TEST_CASE("redirects are followed only where they are asked for") {
    UnixPeer peer([](const PeerRequest& request) {
        return request.path == "/old" ? reply(302, "moved", {"Location: /new"})
                                      : reply(200, "here");
    });
    HttpRequest request;
    request.path = "/old";
    CHECK(peer.http.perform(request).status == 302);
    request.redirects = 1;
    const HttpResponse response = peer.http.perform(request);
    CHECK(response.status == 200);
    CHECK(response.body == "here");
}

TEST_CASE("the reason of a failed connect is told") {
    const TemporaryDirectory directory;
    Http http(server_at(directory.path() + "/absent"));
    HttpRequest request;
    request.path = "/x";
    try {
        http.perform(request);
        FAIL("connected to nothing");
    } catch (const HttpFailure& failure) {
        CHECK(failure.cause() == HttpFailure::Cause::unreachable);
        CHECK(failure.error_number() == ENOENT);
    }
    CHECK(socket_error("/s", ENOENT).kind() == ErrorKind::engine_unreachable);
    CHECK(socket_error("/s", ECONNREFUSED).kind() == ErrorKind::engine_unreachable);
    CHECK(socket_error("/s", 0).kind() == ErrorKind::engine_unreachable);
    CHECK(socket_error("/s", ECONNREFUSED).next() == "systemctl start docker");
    CHECK(socket_error("/s", EACCES).kind() == ErrorKind::engine_denied);
    CHECK(socket_error("/s", EPERM).kind() == ErrorKind::engine_denied);
}

TEST_CASE("percent encoding keeps what may stand") {
    CHECK(percent_encoded("aZ0-._~") == "aZ0-._~");
    CHECK(percent_encoded("a/b:c d\xff") == "a%2Fb%3Ac%20d%FF");
    CHECK(percent_encoded("a/b:c", "/:") == "a/b:c");
}
