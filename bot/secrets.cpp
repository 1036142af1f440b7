// Where the secrets of the settings come from. Each is looked for in three places and copied into locked
// memory; what lies in the environment is overwritten there, because /proc/<pid>/environ shows it for the
// life of the process. Thread: once, at the start, before any other thread (setenv and getenv don't mix with
// threads).
#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "bot/config.h"

namespace keyturn::bot {

namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";
constexpr std::size_t kLongestSecret = 4096;

struct Wanted {
  std::string_view file;       // "slack-app-token": in secrets_folder, and as a systemd credential
  const char* variable;        // "KEYTURN_SLACK_APP_TOKEN"
  std::string_view beginning;  // what it must begin with; empty: anything
  std::string_view what;
};

constexpr Wanted kSlackAppToken{"slack-app-token", "KEYTURN_SLACK_APP_TOKEN", "xapp-",
                                "Slack's app-level token"};
constexpr Wanted kSlackBotToken{"slack-bot-token", "KEYTURN_SLACK_BOT_TOKEN", "xoxb-", "Slack's bot token"};
constexpr Wanted kSlackClientSecret{"slack-client-secret", "KEYTURN_SLACK_CLIENT_SECRET", "",
                                    "the client secret of the Slack app, for form.sign_in"};
constexpr Wanted kInfisicalClientSecret{"infisical-client-secret", "KEYTURN_INFISICAL_CLIENT_SECRET", "",
                                        "the client secret of the Infisical identity"};
constexpr Wanted kHerokuToken{"heroku-token", "KEYTURN_HEROKU_TOKEN", "", "Heroku's token"};
constexpr Wanted kSealingKey{"sealing-key", "KEYTURN_SEALING_KEY", "", "the key that seals what is at rest"};

// A secret, a reason why the place can't be used, or neither when there is nothing at that place.
struct Found {
  std::optional<storage::Secret> secret;
  std::string problem;
};

storage::Secret trimmed(const storage::Secret& secret) {
  const std::string_view text = secret.expose();
  const auto first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return storage::Secret::copy_of(text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1));
}

Found from_environment(const Wanted& wanted) {
  char* value = std::getenv(wanted.variable);
  if (value == nullptr) return {};
  const std::size_t size = ::strlen(value);
  Found found{.secret = storage::Secret::copy_of({value, size})};
  ::explicit_bzero(value, size);
  ::unsetenv(wanted.variable);
  return found;
}

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& file)
      : number_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Found read_all(int descriptor, const std::filesystem::path& file) {
  std::array<char, kLongestSecret + 1> buffer;
  std::size_t size = 0;
  ssize_t count = 0;
  while (size < buffer.size() &&
         (count = ::read(descriptor, buffer.data() + size, buffer.size() - size)) > 0) {
    size += static_cast<std::size_t>(count);
  }
  Found found;
  if (count < 0) {
    found.problem = fmt::format("{} can't be read: {}", file.string(), ::strerror(errno));
  } else if (size > kLongestSecret) {
    found.problem =
        fmt::format("{} holds more than {} bytes: no secret is that long", file.string(), kLongestSecret);
  } else {
    found.secret = storage::Secret::copy_of({buffer.data(), size});
  }
  ::explicit_bzero(buffer.data(), buffer.size());
  return found;
}

Found from_file(const std::filesystem::path& file, bool only_owner) {
  const Descriptor descriptor(file);
  if (descriptor.number() < 0) {
    if (errno == ENOENT) return {};
    return {.problem = fmt::format("{} can't be opened: {}", file.string(), ::strerror(errno))};
  }
  struct ::stat status{};
  if (::fstat(descriptor.number(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return {.problem = fmt::format("{} is not a file", file.string())};
  }
  if (only_owner && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return {.problem =
                fmt::format("{0} can be read by others than its owner (mode {1:03o}); run: chmod 600 {0}",
                            file.string(), status.st_mode & 0777U)};
  }
  return read_all(descriptor.number(), file);
}

Found from_systemd(const Wanted& wanted) {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  // systemd keeps its folder to the service itself, and shows its access list as group bits.
  return folder != nullptr ? from_file(std::filesystem::path(folder) / wanted.file, /*only_owner=*/false)
                           : Found{};
}

Found from_folder(const Wanted& wanted, const std::filesystem::path& folder) {
  return folder.empty() ? Found{} : from_file(folder / wanted.file, /*only_owner=*/true);
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& folder) : folder_(folder) {}

  storage::SharedSecret read(const Wanted& wanted) {
    // All of them are emptied from the environment, also when another place would have done.
    Found found = from_environment(wanted);
    std::string place = wanted.variable;
    if (empty(found))
      found = from_systemd(wanted), place = fmt::format("the systemd credential {}", wanted.file);
    if (empty(found)) found = from_folder(wanted, folder_), place = (folder_ / wanted.file).string();
    if (!found.problem.empty()) return refuse(found.problem);
    if (!found.secret) return refuse(missing(wanted));
    storage::Secret secret = trimmed(*found.secret);
    if (secret.empty()) return refuse(fmt::format("{} is empty; expected {}", place, wanted.what));
    if (!secret.expose().starts_with(wanted.beginning)) {
      return refuse(
          fmt::format("{} is not {}: that begins with \"{}\"", place, wanted.what, wanted.beginning));
    }
    return storage::share(std::move(secret));
  }

  std::shared_ptr<const storage::SealingKey> read_sealing_key() {
    const storage::SharedSecret text = read(kSealingKey);
    if (!text) return nullptr;
    auto key = storage::SealingKey::parse(*text);
    if (key) return std::make_shared<const storage::SealingKey>(std::move(*key));
    refuse(fmt::format("{}: {}; for example the output of: openssl rand -hex 32", kSealingKey.file,
                       key.error()));
    return nullptr;
  }

  std::vector<std::string> take_problems() { return std::move(problems_); }

 private:
  static bool empty(const Found& found) { return !found.secret && found.problem.empty(); }

  std::string missing(const Wanted& wanted) const {
    const bool systemd = std::getenv("CREDENTIALS_DIRECTORY") != nullptr;
    return fmt::format(
        "{} is missing ({}); expected in one of: the environment as {}; the systemd credential {}{}; {}",
        wanted.file, wanted.what, wanted.variable, wanted.file,
        systemd ? "" : " ($CREDENTIALS_DIRECTORY is not set)",
        folder_.empty() ? "a file of that name in storage.secrets_folder (not set)"
                        : fmt::format("the file {} (mode 600)", (folder_ / wanted.file).string()));
  }

  std::nullptr_t refuse(const std::string& problem) {
    problems_.push_back(problem);
    return nullptr;
  }

  const std::filesystem::path& folder_;
  std::vector<std::string> problems_;
};

}  // namespace

SecretsFound find_secrets(const Config& config) {
  Reader reader(config.secrets_folder);
  SecretsFound found;
  Secrets& secrets = found.secrets;
  secrets.slack_app_token = reader.read(kSlackAppToken);
  secrets.slack_bot_token = reader.read(kSlackBotToken);
  secrets.infisical_client_secret = reader.read(kInfisicalClientSecret);
  secrets.heroku_token = reader.read(kHerokuToken);
  if (config.form.sign_in) secrets.slack_client_secret = reader.read(kSlackClientSecret);
  secrets.sealing_key = reader.read_sealing_key();
  found.problems = reader.take_problems();
  return found;
}

std::expected<Secrets, ConfigError> read_secrets(const Config& config) {
  SecretsFound found = find_secrets(config);
  if (found.problems.empty()) return std::move(found.secrets);
  return std::unexpected(ConfigError{fmt::format("{}", fmt::join(found.problems, "\n"))});
}

}  // namespace keyturn::bot
