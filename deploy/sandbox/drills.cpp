#include <algorithm>

#include "deploy/sandbox/drill.h"
#include "deploy/sandbox/random_text.h"
#include "deploy/sandbox/slack_people.h"

namespace keyturn::sandbox {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr const char* kCommand = "stripe prod";
constexpr const char* kGreen = "is rotated.";  // how the summary begins

const std::set<std::string> kPermissions = {"customer_read", "subscription_read", "invoice_read",
                                            "charge_read"};

json fault(const char* system, json knob) {
  knob["system"] = system;
  return knob;
}

// What every rotation that ends well has in common.
Questions rotated(Questions more) {
  Questions all = std::move(more);
  for (Question& question :
       Questions{said_in_channel(kGreen, "the channel got the summary"), new_key_everywhere(), old_key_dead(),
                 said_in_channel("is dead.", "the channel was told that the old key is proven dead"),
                 billing_healthy(), only_our_keys(), no_key_in_slack()}) {
    all.push_back(std::move(question));
  }
  return all;
}

// What every refusal before the click has in common.
Questions refused(Questions more) {
  Questions all = std::move(more);
  all.push_back(never_said_in_channel(kGreen, "nobody was told that the key is rotated"));
  all.push_back(no_key_in_slack());
  return all;
}

asio::awaitable<std::chrono::seconds> up_to_the_click(Operator& ada, std::string command) {
  co_await ada.start(std::move(command));
  co_await ada.tick_boxes();
  co_return co_await ada.instructed_grace();
}

asio::awaitable<void> up_to_the_proof(Operator& ada) {
  co_await ada.hears(kOpsChannel, "rotated and verified");
  co_await ada.hears(kOpsChannel, "proven dead");
}

// ---- the stories, as one plays them

asio::awaitable<void> calm(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  co_await ada.hand_over(co_await ada.rotate_in_dashboard(grace), grace);
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> leak(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, std::string(kCommand) + " --compromise");
  co_await ada.hand_over(co_await ada.rotate_in_dashboard(grace), grace);
  co_await ada.hears(kOpsChannel, "rotated and verified");
  co_await ada.type(std::string("rollback ") + kCommand);
  co_await ada.hears(kOpsChannel, "proven dead");
}

asio::awaitable<void> wrong_account(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  const std::string right = co_await ada.rotate_in_dashboard(grace);
  ada.tell("ada", "has another company's dashboard open in the next tab, and copies the key from there");
  const json other = co_await ada.does("/stripe/create", {{"name", kLiveKeyName},
                                                          {"mode", "live"},
                                                          {"account", "acct_1SomebodyElse4711"},
                                                          {"permissions", kPermissions}});
  co_await ada.hand_over(other.at("key"), grace);
  co_await ada.hears(kOperatorsDirect, "another Stripe account");
  co_await ada.hand_over(right, grace);
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> master_key(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  const std::string right = co_await ada.rotate_in_dashboard(grace);
  ada.tell("ada", "copies the value from the row above by mistake: the account's secret key");
  co_await ada.paste("sk_" + std::string("live_") + random_text(99), grace);
  co_await ada.hears(kOpsChannel, "SEV-1");
  co_await ada.hand_over(right, grace);
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> now_clicked(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  const std::string key = co_await ada.rotate_in_dashboard(0s);
  ada.tell("ada", "has clicked \"Now\" and did not notice: tells the form what she was told to choose");
  co_await ada.hand_over(key, grace);
  co_await ada.hears(kOpsChannel, "died early");
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> approval(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  co_await ada.hand_over(co_await ada.rotate_in_dashboard(grace), grace);
  co_await ada.hears(kOpsChannel, "Stopped");
  ada.tell("grace", "approves the change request in Infisical");
  co_await ada.does("/fault", fault("infisical", {{"kind", "approve"}}));
  co_await ada.press("rotation_retry", "Try again");
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> release_fails(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  co_await ada.does("/fault", fault("heroku", {{"kind", "release_fails"}}));
  ada.tell("heroku", "will fail the next release");
  co_await ada.hand_over(co_await ada.rotate_in_dashboard(grace), grace);
  co_await ada.hears(kOpsChannel, "Stopped");
  co_await ada.press("rotation_retry", "Try again");
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> sync_fails(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  const json sync{{"app", kProductionApp}};
  const auto of_sync = [&](const char* kind, json more = json::object()) {
    more.update(sync);
    more["kind"] = kind;
    return fault("infisical", std::move(more));
  };
  ada.tell("infisical", "has a sync to Heroku whose connection is broken by now");
  co_await ada.does("/fault", of_sync("sync_fails"));
  co_await ada.hand_over(co_await ada.rotate_in_dashboard(grace), grace);
  co_await ada.hears(kOpsChannel, "the sync that brings it there has failed");
  ada.tell("grace", "mends the connection in Infisical, and presses Trigger Sync");
  co_await ada.does("/fault", of_sync("sync_fails", {{"on", false}}));
  co_await ada.does("/fault", of_sync("sync_now"));
  co_await ada.press("rotation_retry", "Try again");
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> slack_quiet(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  const std::string key = co_await ada.rotate_in_dashboard(grace);
  co_await ada.hand_over(key, grace);
  ada.tell("slack", "goes quiet: the socket breaks, and every call is a 503");
  co_await ada.does("/fault", fault("slack", {{"kind", "status"}, {"status", 503}}));
  co_await ada.does("/slack/socket", {{"do", "cut"}});
  co_await ada.waits(12s);
  ada.tell("slack", "is back");
  co_await ada.does("/fault", fault("slack", {{"kind", "clear"}}));
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> stripe_down(Operator& ada) {
  const auto grace = co_await up_to_the_click(ada, kCommand);
  const std::string key = co_await ada.rotate_in_dashboard(grace);
  ada.tell("stripe", "answers every question with 500");
  co_await ada.does("/fault", fault("stripe", {{"kind", "status"}, {"status", 500}}));
  co_await ada.hand_over(key, grace);
  co_await ada.hears(kOpsChannel, "no usable answer");
  co_await ada.waits(3s);
  ada.tell("stripe", "is back");
  co_await ada.does("/fault", fault("stripe", {{"kind", "clear"}}));
  co_await up_to_the_proof(ada);
}

asio::awaitable<void> drift(Operator& ada) {
  const std::string answer = co_await ada.type(kCommand);
  if (answer.find("started") == std::string::npos) throw Stuck("the command was answered: " + answer);
  co_await ada.hears(kOperatorsDirect, "do not hold the same key");
}

asio::awaitable<void> already_dead(Operator& ada) {
  co_await ada.start(kCommand);
  co_await ada.tick_boxes();
  co_await ada.hears(kOperatorsDirect, "Create restricted key");
  ada.tell("ada", "creates a fresh key, with the permissions that the steps name");
  const json fresh = co_await ada.does(
      "/stripe/create", {{"name", kLiveKeyName}, {"mode", "live"}, {"permissions", kPermissions}});
  co_await ada.hand_over(fresh.at("key"), 0s);
  co_await ada.hears(kOpsChannel, "recovered and verified");
  co_await ada.hears(kOpsChannel, "proven dead");
}

// ---- the scenes

void wants_approval(World& world) {
  world.infisical.fault({{"kind", "approval_policy"}, {"on", true}, {"environment", "prod"}});
}

void syncs_to_heroku(World& world) {
  world.infisical.fault({{"kind", "heroku_sync"}, {"app", kProductionApp}, {"environment", "prod"}});
}

void drifts(World& world) {
  const StripeKey& another = world.stripe.create({.live = true,
                                                  .account = kStripeAccount,
                                                  .name = "raxx-billing-by-hand",
                                                  .note = "",
                                                  .permissions = kPermissions});
  world.heroku.set_config(kProductionApp, kVariable, another.value, "someone@raxx.app");
}

void expires_the_key(World& world) {
  const StripeKey* key = world.stripe.find_value(world.infisical.find("prod", kVariable)->newest().value);
  world.stripe.expire(key->id);
}

// ---- the list

const std::vector<std::string> kUpToTheClick = {
    "Type /rotate stripe prod, and tick the boxes in the direct message.",
    "Stripe tab: ⋯ → Rotate key, with the expiration that the direct message names.",
};

std::vector<std::string> steps(std::vector<std::string> more) {
  std::vector<std::string> all = kUpToTheClick;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<Drill> all_drills() {
  return {
      {.name = "calm",
       .title = "A calm rotation",
       .sentence = "Nothing goes wrong. Know what that looks like before you see anything else.",
       .steps = steps({"Paste the new key into the one-time form, with the code from the direct message.",
                       "Watch the channel until the old key is proven dead."}),
       .should_have_seen = {"Every line of the live message is a fact with a time; none is a promise.",
                            "The old key goes on working until its deadline, and is then proven dead."},
       .scene = {},
       .play = calm,
       .questions =
           rotated({said_in_channel("expires", "the channel was reminded before the old key died")})},
      {.name = "leak",
       .title = "The key has leaked",
       .sentence = "Somebody found the key in a public place. Minutes count, and there is no way back.",
       .steps = {"Type /rotate stripe prod --compromise, tick the boxes and say what happened.",
                 "Stripe tab: ⋯ → Rotate key, with the short expiration that the direct message names.",
                 "Paste the new key into the form.",
                 "Type /rotate rollback stripe prod, and read why that is barred."},
       .should_have_seen = {"The channel hears of a suspected leak at once.",
                            "The grace is short, and rolling back is barred: the old key may be in other "
                            "hands."},
       .scene = {},
       .play = leak,
       .questions = rotated({said_in_channel("suspected leak", "the channel was told of the leak at once"),
                             only_operator_sees("barred", "rolling back was refused, with the reason")})},
      {.name = "wrong-account",
       .title = "The wrong account",
       .sentence = "The operator copies a good key from another company's dashboard.",
       .steps = steps({"Stripe tab: Create key, in the other account; paste that one into the form.",
                       "Read the refusal; then paste the right key through the new link."}),
       .should_have_seen = {"A key that works can still be the wrong one: the refusal names both accounts.",
                            "The key in use was not touched meanwhile, and a new link came by itself."},
       .scene = {},
       .play = wrong_account,
       .questions =
           rotated({said_to_operator("another Stripe account", "the wrong key was refused by its account")})},
      {.name = "master-key",
       .title = "The master key in the form",
       .sentence = "The operator pastes the account's secret key instead of the restricted one.",
       .steps =
           steps({"Paste any value that begins like a live secret key (sk, underscore, live) into the form.",
                  "Read the channel; then paste the right key: the link still works."}),
       .should_have_seen = {"SEV-1 in the channel, with the place and never the value.",
                            "It was not stored, and it must be rolled in the dashboard at once."},
       .scene = {},
       .play = master_key,
       .questions = rotated({said_in_channel("SEV-1", "the alarm reached the channel")})},
      {.name = "now-clicked",
       .title = "The operator clicked Now",
       .sentence = "The old key is dead the moment the new one exists: billing fails until it has arrived.",
       .steps = {"Type /rotate stripe prod, and tick the boxes in the direct message.",
                 "Stripe tab: ⋯ → Rotate key, expiration Now.", "Paste the new key at once."},
       .should_have_seen = {"The channel hears loudly that billing is failing, and until when.",
                            "Nothing waits: the new key goes straight to every consumer."},
       .scene = {},
       .play = now_clicked,
       .questions =
           rotated({said_in_channel("died early", "the channel was told that the old key is dead")})},
      {.name = "approval",
       .title = "Infisical wants an approval",
       .sentence = "A policy turns every write into a change request: 200, and the secret stays as it was.",
       .steps =
           steps({"Paste the new key.", "The rotation stops. Break things: press \"Approve the change\".",
                  "Press Try again in the direct message."}),
       .should_have_seen = {"A 200 without the secret in it is not success: the rotation stops and says why.",
                            "After the approval, Try again finds the key in place and goes on."},
       .scene = wants_approval,
       .play = approval,
       .questions =
           rotated({said_in_channel("approval", "the channel was told that an approval is missing")})},
      {.name = "release-fails",
       .title = "Heroku’s release fails",
       .sentence = "The configuration is set, but no dyno ever runs it.",
       .steps = steps({"Break things: press Release fails; then paste the new key.",
                       "The rotation stops. Press Try again in the direct message."}),
       .should_have_seen = {"A configuration that is set is not a key that runs: every dyno is looked at.",
                            "Billing keeps running on the old key meanwhile; Try again sets it anew."},
       .scene = {},
       .play = release_fails,
       .questions = rotated({said_in_channel("stopped", "the channel was told that it stopped")})},
      {.name = "sync-fails",
       .title = "Infisical’s sync fails",
       .sentence = "Infisical itself brings the app its key, and its connection to Heroku is broken.",
       .steps = steps({"Break things: press That sync fails; then paste the new key.",
                       "The rotation stops. Press Mend that sync and Trigger the sync, then Try again."}),
       .should_have_seen = {"Before the click: Keyturn writes only Infisical, and waits for the sync.",
                            "Infisical holds the new key and the app the old one: that is said, and billing "
                            "runs on the old key until its deadline.",
                            "Nobody else writes into the app meanwhile: two writers would fight."},
       .scene = syncs_to_heroku,
       .play = sync_fails,
       .questions = rotated({said_in_channel("the sync that brings it there has failed",
                                             "the channel was told what holds which key"),
                             said_to_operator("Keyturn writes only Infisical",
                                              "the operator knew of the sync before the click")})},
      {.name = "slack-quiet",
       .title = "Slack goes quiet",
       .sentence = "Slack is gone right after the key was handed over.",
       .steps = steps({"Paste the new key; then Break things: Web API down, and Socket cut.",
                       "Watch the other systems: the rotation goes on. Then press Mend everything."}),
       .should_have_seen = {"The rotation doesn't need Slack: it went on while nobody could read.",
                            "The story is told afterwards, complete, each message once."},
       .scene = {},
       .play = slack_quiet,
       .questions = rotated({})},
      {.name = "stripe-down",
       .title = "Stripe has a bad minute",
       .sentence = "Every question about the new key is answered with 500.",
       .steps = steps({"Break things: Server errors; then paste the new key.",
                       "Wait for \"no usable answer\" in the channel; then press Mend everything."}),
       .should_have_seen = {"An answer that says nothing is no verdict: the key is neither good nor bad.",
                            "The key stays sealed, and nothing is asked of the operator twice."},
       .scene = {},
       .play = stripe_down,
       .questions = rotated({said_in_channel("no usable answer", "the channel was told why it takes long"),
                             never_said_in_channel("does not accept", "no verdict without an answer")})},
      {.name = "drift",
       .title = "Somebody changed it by hand",
       .sentence = "The app runs on another key than Infisical holds. Which one is right?",
       .steps = {"Type /rotate stripe prod.", "Read the refusal in the direct message."},
       .should_have_seen = {"Refused before anything changed: a rotation on top would hide the question.",
                            "Both keys are named by their fingerprints."},
       .scene = drifts,
       .play = drift,
       .questions = refused({said_to_operator("do not hold the same key", "the refusal says what differs"),
                             nothing_changed(), old_key_alive()})},
      {.name = "already-dead",
       .title = "The key is dead already",
       .sentence = "Somebody expired the key in use. There is nothing to rotate: billing is down.",
       .steps = {"Type /rotate stripe prod, tick the boxes, and read what a fresh key has to be.",
                 "Stripe tab: Create key, with the same permissions.",
                 "Paste it into the one-time form: it asks for no expiration this time."},
       .should_have_seen = {"The channel hears at once that billing is likely down.",
                            "Billing is healthy once the fresh key runs everywhere."},
       .scene = expires_the_key,
       .play = already_dead,
       .questions = {said_in_channel("billing is likely down", "the channel was told of the outage at once"),
                     said_in_channel("is recovered.", "the channel got the summary"),
                     never_said_in_channel(kGreen, "nobody was told of a rotation"), new_key_everywhere(),
                     old_key_dead(), billing_healthy(), only_our_keys(), no_key_in_slack()}},
  };
}

}  // namespace

const std::vector<Drill>& drills() {
  static const std::vector<Drill> all = all_drills();
  return all;
}

const Drill* find_drill(const std::string& name) {
  const auto found = std::ranges::find(drills(), name, &Drill::name);
  return found == drills().end() ? nullptr : &*found;
}

}  // namespace keyturn::sandbox
