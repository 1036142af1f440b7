// Requests and a clock for the emulators' tests: everything but http_test.cpp asks the state directly,
// without sockets.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "deploy/sandbox/vendor.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

class FakeClock final : public storage::Clock {
 public:
  storage::TimePoint now() const override { return now_; }
  void pass(storage::Duration time) { now_ += time; }

 private:
  storage::TimePoint now_{std::chrono::milliseconds(1'795'000'000'000)};
};

inline net::ServerRequest request(std::string method, std::string path, net::Headers headers = {},
                                  std::string body = "") {
  net::ServerRequest made;
  made.method = std::move(method);
  made.path = std::move(path);
  made.target = made.path;
  made.headers = std::move(headers);
  made.body = std::move(body);
  return made;
}

struct Answer {
  int status = 0;
  nlohmann::json body;  // discarded when it is no JSON
  net::Headers headers;

  std::string header(std::string_view name) const { return net::find_header(headers, name).value_or(""); }
};

inline Answer ask(Vendor& vendor, const net::ServerRequest& made) {
  const net::Response response = vendor.answer(made);
  return {response.status, nlohmann::json::parse(response.body, nullptr, false), response.headers};
}

}  // namespace keyturn::sandbox
