// What belongs to this host: settings, secrets, journal, the form's name and certificate, the clock.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <vector>

#include "bot/doctor/judgement.h"
#include "integrations/net/url.h"

namespace keyturn::bot::doctor {
namespace {

using std::chrono::days;
using storage::Duration;

constexpr Duration kClockTolerance = std::chrono::seconds(30);
// A certificate's Date has whole seconds, and the answer was on its way.
constexpr Duration kClockGrain = std::chrono::seconds(1);
constexpr Duration kShortNotice = days(14);

std::string in_days(Duration left) {
  const auto whole = std::chrono::floor<days>(left).count();
  return whole >= 2 ? fmt::format("{} days", whole) : storage::in_words(left);
}

// Programs renew when a third of the life is left; a fifth means that they did not. A year's certificate is
// renewed by hand, and two weeks are notice enough.
bool renewal_is_late(const net::CertificateFacts& facts, Duration left) {
  return left < std::min<Duration>((facts.ends - facts.begins) / 5, kShortNotice);
}

Finding judge_dates(const net::CertificateFacts& facts, storage::TimePoint now) {
  constexpr Part part = Part::form;
  const std::string check = "certificate's dates";
  const std::string renew =
      "renew it (certbot renew, or whoever issues it); the bot reads the new files without a restart, as "
      "systemd "
      "credentials after one";
  if (now < facts.begins) {
    return wrong(part, check,
                 fmt::format("it begins only on {}: browsers refuse it, and nobody can hand over a key",
                             storage::to_iso8601(facts.begins)),
                 "is the clock of this host right? Otherwise " + renew);
  }
  if (now >= facts.ends) {
    return wrong(part, check,
                 fmt::format("it has expired on {}: browsers refuse the form, and nobody can hand over a key",
                             storage::to_iso8601(facts.ends)),
                 renew);
  }
  const Duration left = facts.ends - now;
  const std::string until = fmt::format("{} ({} left)", storage::to_iso8601(facts.ends), in_days(left));
  if (renewal_is_late(facts, left)) {
    return wrong(
        part, check,
        fmt::format("it ends on {}, and should have been renewed by now. The form works until then", until),
        renew);
  }
  return ok(part, check, "good until " + until);
}

Findings judge_certificate(const std::string& host, const net::CertificateFacts& facts,
                           storage::TimePoint now) {
  constexpr Part part = Part::form;
  Findings findings;
  if (facts.key_fits) {
    findings.push_back(ok(part, "certificate and key", "belong together"));
  } else {
    findings.push_back(wrong(part, "certificate and key",
                             "the private key is another certificate's: the form can't serve TLS with them",
                             "set form.certificate_file and form.private_key_file to the two files of one "
                             "issue; the certificate's own must be the first in its file"));
  }
  if (facts.names_the_host) {
    findings.push_back(ok(part, "certificate's names", "it is for " + host));
  } else {
    findings.push_back(
        wrong(part, "certificate's names",
              fmt::format("it is not for {}, which form.public_url names: browsers refuse the form", host),
              "have one issued for that name, or correct form.public_url"));
  }
  findings.push_back(judge_dates(facts, now));
  return findings;
}

Finding judge_name(const std::string& host, Lookup lookup) {
  const std::string check = "name " + host;
  switch (lookup) {
    case Lookup::found:
      return ok(Part::form, check, "has an address");
    case Lookup::no_such_name:
      return wrong(Part::form, check,
                   "no such name is known here: the link in the operator's message would lead nowhere",
                   "add it to the name servers that operators' browsers ask, or correct form.public_url");
    case Lookup::no_answer:
      break;
  }
  return unknown(Part::form, check, "this host's name servers did not answer",
                 "look at /etc/resolv.conf; then ask again");
}

Finding judge_proxy(const FormSettings& settings, const std::expected<int, std::string>& answer) {
  if (answer) {
    return ok(Part::form, "proxy",
              fmt::format("{} answers over TLS (HTTP {}), with a certificate that holds", settings.public_url,
                          *answer));
  }
  return unknown(
      Part::form, "proxy", "the form's public address was not reached from here: " + answer.error(),
      fmt::format("open {}/form in an operator's browser: it must show the page without a warning. "
                  "If it doesn't: the proxy runs, its certificate is current, and it passes on to "
                  "form.address and form.port",
                  settings.public_url));
}

Finding clock_unheard() {
  return unknown(Part::clock, "clock", "no vendor's answer said what time it is",
                 "see the other findings, then ask again; meanwhile: timedatectl");
}

std::string off_by(const std::string& system, Duration ahead) {
  return fmt::format("{} {} {}", storage::in_words(ahead < Duration(0) ? -ahead : ahead),
                     ahead < Duration(0) ? "behind" : "ahead of", system);
}

}  // namespace

Findings judge_settings(const SettingsSeen& seen) {
  constexpr Part part = Part::settings;
  Findings findings;
  for (const std::string& mistake : seen.mistakes) {
    findings.push_back(
        wrong(part, "settings", mistake,
              "mend it in " + seen.file + " and ask again: without settings nobody else was asked"));
  }
  if (!findings.empty()) return findings;
  findings.push_back(ok(part, "settings", fmt::format("{}: good, {} target(s)", seen.file, seen.targets)));
  for (const std::string& problem : seen.secret_problems) {
    findings.push_back(wrong(part, "secrets", problem,
                             "the bot doesn't start without it. A service's secrets are seen here with "
                             "CREDENTIALS_DIRECTORY=/etc/keyturn/secrets in front of the command"));
  }
  if (seen.secret_problems.empty())
    findings.push_back(ok(part, "secrets", "all there, and nobody else's to read"));
  return findings;
}

Findings judge_journal(const JournalSeen& seen) {
  constexpr Part part = Part::journal;
  if (!seen.exists && seen.folder_exists)
    return {ok(part, seen.file, "not there yet: the bot's first start makes it")};
  if (!seen.exists) {
    return {wrong(part, seen.file,
                  "its folder doesn't exist: the bot can't make its journal, and doesn't start",
                  "make the folder, for the bot's user alone (chmod 700), or correct storage.journal")};
  }
  if (!seen.problem.empty()) {
    return {wrong(part, seen.file, seen.problem,
                  "is this the user who may read it? Otherwise: keyturn audit verify, and docs/running.md, "
                  "\"Backup and restore\"")};
  }
  if (seen.fault) {
    return {
        wrong(part, seen.file,
              fmt::format("its chain is broken at entry {}: {}. The bot doesn't start on it, and a running "
                          "one should be stopped",
                          seen.fault->sequence, seen.fault->what),
              "keep the file as evidence, then docs/running.md, \"Backup and restore\"")};
  }
  Findings findings{ok(part, seen.file, fmt::format("{} entries, every hash holds", seen.entries))};
  if (seen.shut > 0) {
    const bool nothing_opens = seen.shut == seen.boxes;
    findings.push_back(wrong(
        part, "sealing key",
        fmt::format(
            "it doesn't open {} of {} keys that open rotations have sealed: {}", seen.shut, seen.boxes,
            nothing_opens ? "the bot doesn't start, and what it holds of them is out of reach"
                          : "those were changed on the disk, and their rotations stop when they need them"),
        nothing_opens
            ? "put the sealing key back that the journal was written with, from where its copy is kept"
            : "docs/running.md, \"Stopped\""));
  } else if (seen.boxes > 0) {
    findings.push_back(ok(part, "sealing key", fmt::format("opens what is sealed ({})", seen.boxes)));
  }
  return findings;
}

Findings judge_form(const FormSettings& settings, const FormSeen& seen, storage::TimePoint now) {
  constexpr Part part = Part::form;
  const auto url = net::parse_url(settings.public_url);
  if (!url) return {wrong(part, "public_url", "is no URL", "correct form.public_url")};
  Findings findings;
  if (url->secure()) {
    findings.push_back(ok(part, "public_url", settings.public_url + ": over TLS"));
  } else if (url->loopback()) {
    findings.push_back(ok(part, "public_url", settings.public_url + ": plain, and only on this machine"));
  } else {
    findings.push_back(wrong(part, "public_url",
                             settings.public_url + " is not https: a key would cross a network",
                             "set form.public_url to an https one"));
  }
  findings.push_back(judge_name(url->host, seen.name));
  if (seen.certificate && *seen.certificate) {
    for (Finding& finding : judge_certificate(url->host, **seen.certificate, now))
      findings.push_back(std::move(finding));
  } else if (seen.certificate) {
    findings.push_back(wrong(part, "certificate and key", seen.certificate->error(),
                             "the bot doesn't start without them: correct form.certificate_file and "
                             "form.private_key_file, or the files' owner"));
  }
  if (seen.proxy) findings.push_back(judge_proxy(settings, *seen.proxy));
  return findings;
}

Findings judge_clock(const ClockSeen& seen) {
  constexpr Part part = Part::clock;
  if (seen.ahead.empty()) return {clock_unheard()};
  std::vector<std::string> off;
  std::vector<std::string> right;
  Duration most{0};
  for (const auto& [system, ahead] : seen.ahead) {
    most = std::max<Duration>(most, ahead < Duration(0) ? -ahead : ahead);
    const bool tolerable = ahead <= kClockTolerance && ahead >= -kClockTolerance;
    (tolerable ? right : off).push_back(tolerable ? system : off_by(system, ahead));
  }
  if (off.empty()) {
    return {ok(part, "clock",
               fmt::format("within {} of {}", storage::in_words(std::max(most, kClockGrain)),
                           fmt::join(right, ", ")))};
  }
  const std::string meaning = "graces, links and proofs are counted by this clock";
  if (right.empty()) {
    return {wrong(part, "clock", fmt::format("this host is {}: {}", fmt::join(off, ", "), meaning),
                  "timedatectl set-ntp true; then timedatectl shows \"System clock synchronized: yes\"")};
  }
  return {
      unknown(part, "clock",
              fmt::format("this host is {}, and right by {}: {}", fmt::join(off, ", "),
                          fmt::join(right, ", "), meaning),
              "timedatectl says whether this host is synchronised; if it is, a cache or proxy on the way to "
              "the one that differs answers with an old date")};
}

Findings judge(const Config& config, const Observed& seen) {
  Findings all = judge_settings(seen.settings);
  if (!seen.settings.mistakes.empty()) return all;
  const auto add = [&all](Findings findings) {
    for (Finding& finding : findings) all.push_back(std::move(finding));
  };
  add(judge_journal(seen.journal));
  add(judge_slack(config.slack, seen.slack));
  add(judge_infisical(config, seen));
  add(judge_heroku(config, seen));
  for (std::size_t i = 0; i < seen.targets.size(); ++i) {
    add(judge_stripe(config.targets[i], seen.targets[i]));
    add(judge_billing(config.targets[i], seen.targets[i]));
  }
  add(judge_form(config.form, seen.form, seen.now));
  add(judge_clock(seen.clock));
  return all;
}

}  // namespace keyturn::bot::doctor
