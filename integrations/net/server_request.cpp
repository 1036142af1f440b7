#include "integrations/net/server_request.h"

#include "integrations/net/url.h"

namespace keyturn::net {

namespace {

std::map<std::string, std::string> parse_query(std::string_view query) {
  std::map<std::string, std::string> fields;
  const auto decode = [](std::string_view text) {
    std::string plain(text);
    for (char& character : plain) {
      if (character == '+') character = ' ';
    }
    return percent_decode(plain);
  };
  while (!query.empty()) {
    const auto field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(field.size() + 1, query.size()));
    const auto equals = field.find('=');
    if (field.empty()) continue;
    fields.emplace(decode(field.substr(0, equals)),
                   equals == std::string_view::npos ? "" : decode(field.substr(equals + 1)));
  }
  return fields;
}

// "http://host/path" (allowed by RFC 9112, 3.2.2) becomes "/path".
std::string origin_form(const std::string& target) {
  if (target.starts_with('/')) return target;
  const auto url = parse_url(target);
  return url ? url->target : target;
}

}  // namespace

std::shared_ptr<ServerRequest> make_request(RequestParser& parser, std::string peer) {
  auto request = std::make_shared<ServerRequest>();
  request->method = std::move(parser.method);
  request->target = origin_form(parser.target);
  const auto question = request->target.find('?');
  request->path = percent_decode(std::string_view(request->target).substr(0, question));
  if (question != std::string::npos)
    request->query = parse_query(std::string_view(request->target).substr(question + 1));
  request->headers = std::move(parser.headers);
  request->body = std::move(parser.body);
  storage::wipe(parser.body);  // a short string leaves its bytes behind when it is moved
  request->peer = std::move(peer);
  return request;
}

}  // namespace keyturn::net
