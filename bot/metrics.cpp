#include "bot/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <atomic>

namespace keyturn::bot {

namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// A step is anything from one call (a tenth of a second) to a watch of hours.
const Buckets kStepSeconds = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 86400};
// Slack gives up on an acknowledgement after 3 s; what matters is far below.
const Buckets kAckSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3};

constexpr std::array kFormEvents = {"looked",    "received", "refused",    "closed",
                                    "malformed", "limited",  "cross_site", "unavailable"};

double in_seconds(storage::Duration duration) { return std::chrono::duration<double>(duration).count(); }

prometheus::Family<prometheus::Gauge>& gauge(prometheus::Registry& registry, const char* name,
                                             const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Counter>& counter(prometheus::Registry& registry, const char* name,
                                                 const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>& histogram(prometheus::Registry& registry, const char* name,
                                                     const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Gauge>& rotations =
      gauge(registry, "keyturn_rotations", "Rotations that are not closed, by the state they are in.");
  prometheus::Family<prometheus::Gauge>& drifts =
      gauge(registry, "keyturn_drifts", "Apps that do not hold the key that the secret store holds.");
  prometheus::Family<prometheus::Counter>& closed =
      counter(registry, "keyturn_rotations_closed_total", "Rotations that were closed, by outcome.");
  prometheus::Family<prometheus::Histogram>& steps =
      histogram(registry, "keyturn_step_seconds", "Time that one step of a rotation took.");
  prometheus::Histogram& acks = histogram(registry, "keyturn_ack_seconds",
                                          "From Slack's delivery to our acknowledgement on the socket.")
                                    .Add({}, kAckSeconds);
  prometheus::Counter& acks_failed = counter(registry, "keyturn_ack_failed_total",
                                             "Acknowledgements that could not be sent: Slack delivers again.")
                                         .Add({});
  prometheus::Gauge& slack_ready =
      gauge(registry, "keyturn_slack_ready", "1 while Slack's socket is usable.").Add({});
  prometheus::Counter& reconnects =
      counter(registry, "keyturn_slack_reconnects_total", "How often a usable socket was lost.").Add({});
  prometheus::Gauge& connections_reported = gauge(registry, "keyturn_slack_num_connections",
                                                  "Sockets of this app that Slack counts; more than ours: "
                                                  "another process runs on this token.")
                                                .Add({});
  prometheus::Gauge& connections_held =
      gauge(registry, "keyturn_slack_connections_held", "Sockets that this process holds open.").Add({});
  prometheus::Family<prometheus::Counter>& calls =
      counter(registry, "keyturn_api_calls_total", "Calls to outside systems, by outcome.");
  prometheus::Family<prometheus::Counter>& form =
      counter(registry, "keyturn_form_total", "What happened at the one-time form.");
  std::atomic<bool> ready = false;
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {
  // So that a rate over a counter sees its first step from 0 to 1.
  for (const char* event : kFormEvents) families_->form.Add({{"event", event}});
}

Metrics::~Metrics() = default;

void Metrics::rotations_open(const std::string& state, int count) {
  families_->rotations.Add({{"state", state}}).Set(count);
}

void Metrics::drifts_open(int count) { families_->drifts.Add({}).Set(count); }

void Metrics::rotation_closed(const std::string& outcome) {
  families_->closed.Add({{"outcome", outcome}}).Increment();
}

void Metrics::step_took(const std::string& step, storage::Duration duration) {
  families_->steps.Add({{"step", step}}, kStepSeconds).Observe(in_seconds(duration));
}

void Metrics::acknowledged(storage::Duration since_delivery, bool sent) {
  if (!sent) {
    families_->acks_failed.Increment();
    return;
  }
  families_->acks.Observe(in_seconds(since_delivery));
}

void Metrics::socket_link(const std::string& state) {
  const bool ready = state == "ready";
  if (families_->ready.exchange(ready) && !ready) families_->reconnects.Increment();
  families_->slack_ready.Set(ready ? 1 : 0);
}

void Metrics::socket_connections(int reported, int held) {
  families_->connections_reported.Set(reported);
  families_->connections_held.Set(held);
}

void Metrics::api_call(const std::string& system, const std::string& operation, const std::string& outcome) {
  families_->calls.Add({{"system", system}, {"operation", operation}, {"outcome", outcome}}).Increment();
}

void Metrics::form(const std::string& event) { families_->form.Add({{"event", event}}).Increment(); }

std::string Metrics::text() const {
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace keyturn::bot
