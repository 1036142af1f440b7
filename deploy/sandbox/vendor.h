// What the emulators have in common: they answer from state alone, remember which requests they saw, and have
// faults. Thread: io only, no locks. A vendor must outlive the servers that run its handler, and never moves.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "deploy/sandbox/faults.h"
#include "integrations/net/http_server.h"
#include "storage/clock.h"

namespace keyturn::sandbox {

// Never bodies, and no query: those hold keys and capabilities.
struct SeenRequest {
  std::uint64_t number = 0;  // 1, 2, 3... per vendor
  std::string method;
  std::string path;
  int status = 0;  // of what was done, even if a fault lost the answer; 0: nothing (yet)
  storage::TimePoint at{};
  storage::TimePoint answered{};  // zero: not yet
};

void to_json(nlohmann::json& json, const SeenRequest& seen);

class Vendor {
 public:
  explicit Vendor(const storage::Clock& clock) : clock_(clock) {}
  virtual ~Vendor() = default;
  Vendor(const Vendor&) = delete;
  Vendor& operator=(const Vendor&) = delete;

  net::Handler handler();

  // A fault of faults.h, or a knob of this vendor (see its header). {"kind":"clear"} resets both.
  // {"kind":"clock","seconds":-90}: by how much the Date of its answers is off.
  // Throws std::invalid_argument for anything else.
  void fault(const nlohmann::json& knob);

  // The newest 10,000, oldest first.
  const std::deque<SeenRequest>& requests() const { return requests_; }
  // How many requests with that method, below that path, were answered with a 2xx.
  std::size_t count(std::string_view method, std::string_view path_prefix) const;

  // For pages and tests: everything but key values (masked) and credentials.
  virtual nlohmann::json state() const = 0;

  // Answers one request from the state, as the vendor would. Faults are not looked at.
  virtual net::Response answer(const net::ServerRequest& request) = 0;

 protected:
  // A vendor's own knob; false when it knows none of that kind.
  virtual bool turn_knob(const nlohmann::json& knob) = 0;
  virtual void reset_knobs() = 0;
  // The vendor's own body and headers for a fault's status.
  virtual net::Response fault_answer(int status) = 0;
  // Most answers are one response; streams override this.
  virtual boost::asio::awaitable<void> serve(std::shared_ptr<const net::ServerRequest> request,
                                             net::Exchange& exchange);

  storage::TimePoint now() const { return clock_.now(); }

  const storage::Clock& clock_;
  Faults faults_;

 private:
  boost::asio::awaitable<void> handle(std::shared_ptr<const net::ServerRequest> request,
                                      net::Exchange& exchange);
  // Answers the row's number: rows move while a slow answer is under way.
  std::uint64_t remember(const net::ServerRequest& request);
  void note_status(std::uint64_t number, int status);
  // Every one of them says when it answered.
  void add_date(net::Headers& headers) const;

  std::deque<SeenRequest> requests_;
  std::uint64_t seen_ = 0;
  storage::Duration clock_off_{0};
};

// "application/json", dumped without throwing on odd text.
net::Response json_response(int status, const nlohmann::json& body, net::Headers more = {});
// The bare HTML page of a proxy in front of the vendor.
net::Response html_response(int status, std::string_view server);

}  // namespace keyturn::sandbox
