#include "service/service_config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/image_reference.hpp"
#include "core/text.hpp"
#include "service/generated_files.hpp"
#include "service/secrets.hpp"

namespace drunner {
namespace {

constexpr std::size_t most_volumes = 64;
constexpr std::size_t longest_volume_name = 255;
constexpr std::string_view file_name = "servicecfg.sh";

// What drunner reads of the file; everything else in it is the service's own.
constexpr std::array known_names{"VOLUMES", "EXTRACONTAINERS", "VERSION",
                                 "HOOKS",   "SELFTEST",        "SETTINGS",
                                 "AFTER",   "BACKUP_EXCLUDE",  "SECRETS"};

// Between these marks the evaluation prints, each ended by NUL, for every known name: the name, how
// many words it has, the words. A plain variable counts as an array of one.
constexpr std::string_view first_mark = "drunner-servicecfg-begin";
constexpr std::string_view last_mark = "drunner-servicecfg-end";

Error refused(const std::string& message) {
    return Error(ErrorKind::image_refused, std::string(file_name) + ": " + message,
                 "drunner checkimage IMAGE");
}

Error refused_at(int line, const std::string& message) {
    return refused("line " + std::to_string(line) + ": " + message);
}

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name_part(char c) {
    return is_name_start(c) || is_digit(c);
}

bool is_name(std::string_view text) {
    return !text.empty() && is_name_start(text.front()) &&
           std::all_of(text.begin(), text.end(), is_name_part);
}

// A shell variable: a plain value is one word that is no array.
struct Value {
    bool is_array = false;
    std::vector<std::string> words;
};
using Values = std::map<std::string, Value, std::less<>>;

// Thrown inside the parser only: the text from here on needs bash.
struct NeedsBash {
    int line;
};

std::string without_carriage_returns(std::string_view text) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.substr(0, byte_order_mark.size()) == byte_order_mark) {
        text.remove_prefix(byte_order_mark.size());
    }
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool ends_line = text[i] == '\r' && (i + 1 == text.size() || text[i + 1] == '\n');
        if (!ends_line) {
            result += text[i];
        }
    }
    return result;
}

// The part of bash's grammar that assigns literal words (POSIX shell language 2.2, 2.3, 2.10 and
// bash's arrays). Where bash would do more than that it stops with NeedsBash.
class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Values parse() {
        while (true) {
            skip_blanks();
            if (at_end()) {
                return std::move(values_);
            }
            if (peek() == '#') {
                skip_comment();
            } else if (peek() == '\n') {
                ++at_;
            } else {
                command();
            }
        }
    }

  private:
    enum class Place { assignment, declaration, array };

    bool at_end() const { return at_ == text_.size(); }
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    int line_at(std::size_t position) const {
        return 1 + static_cast<int>(std::count(
                       text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    }
    [[noreturn]] void needs_bash() const { throw NeedsBash{line_at(at_)}; }

    void skip_blanks() {
        while (!at_end()) {
            if (peek() == ' ' || peek() == '\t') {
                ++at_;
            } else if (peek() == '\\' && peek(1) == '\n') {
                at_ += 2;
            } else {
                return;
            }
        }
    }
    void skip_comment() { at_ = std::min(text_.find('\n', at_), text_.size()); }

    bool ends_word() const {
        return at_end() || std::string_view(" \t\n;&|<>()").find(peek()) != std::string_view::npos;
    }
    // Passes over the end of a command; false where the command goes on.
    bool end_of_command() {
        skip_blanks();
        if (at_end()) {
            return true;
        }
        if (peek() == '#') {
            skip_comment();
            return true;
        }
        if (peek() == '\n' || peek() == ';') {
            const bool semicolon = peek() == ';';
            ++at_;
            if (semicolon && (peek() == ';' || peek() == '&')) {
                needs_bash();
            }
            return true;
        }
        return false;
    }

    std::string_view bare_name() const {
        std::size_t end = at_;
        if (end < text_.size() && is_name_start(text_[end])) {
            while (end < text_.size() && is_name_part(text_[end])) {
                ++end;
            }
        }
        return std::string_view(text_).substr(at_, end - at_);
    }

    void command() {
        const std::string_view word = bare_name();
        const char after = peek(word.size());
        const bool is_word = after == ' ' || after == '\t';
        if (is_word &&
            (word == "readonly" || word == "export" || word == "declare" || word == "typeset")) {
            at_ += word.size();
            declaration(word == "readonly");
            return;
        }
        do {
            assignment(Place::assignment, false, false);
        } while (!end_of_command());
    }

    // What follows `readonly`, `export`, `declare` or `typeset`.
    void declaration(bool makes_readonly) {
        bool array = false;
        while (!end_of_command()) {
            if (peek() == '-') {
                ++at_;
                if (ends_word()) {
                    needs_bash();
                }
                for (; !ends_word(); ++at_) {
                    switch (peek()) {
                        case 'a':
                            array = true;
                            break;
                        case 'r':
                            makes_readonly = true;
                            break;
                        case 'x':
                        case 'g':
                            break;
                        default:
                            needs_bash();
                    }
                }
                continue;
            }
            const std::string_view name = bare_name();
            const char after = peek(name.size());
            const bool without_value =
                !name.empty() && after != '=' && after != '+' && after != '[';
            if (without_value) {
                at_ += name.size();
                if (!ends_word()) {
                    needs_bash();
                }
                if (makes_readonly) {
                    readonly_.emplace(name);
                }
                continue;
            }
            assignment(Place::declaration, makes_readonly, array);
        }
    }

    void assignment(Place place, bool makes_readonly, bool array) {
        const std::string name(bare_name());
        const std::size_t operator_at = name.size();
        const bool appends = peek(operator_at) == '+' && peek(operator_at + 1) == '=';
        if (name.empty() || (!appends && peek(operator_at) != '=') || readonly_.contains(name)) {
            needs_bash();
        }
        const std::size_t begin = at_;
        at_ += name.size() + (appends ? 2 : 1);
        Value value;
        if (peek() == '(') {
            value = {true, array_words()};
            if (!ends_word()) {
                needs_bash();
            }
        } else {
            value = {false, {word(place)}};
        }
        const auto old = values_.find(name);
        const bool mixes = old != values_.end() && old->second.is_array != value.is_array;
        // An array with a plain value, and the other way round, is bash's element 0.
        if ((mixes && (appends || !value.is_array)) || (array && !value.is_array)) {
            at_ = begin;
            needs_bash();
        }
        if (appends && old != values_.end()) {
            std::vector<std::string>& words = old->second.words;
            if (value.is_array) {
                words.insert(words.end(), value.words.begin(), value.words.end());
            } else {
                words.front() += value.words.front();
            }
        } else {
            values_.insert_or_assign(name, std::move(value));
        }
        if (makes_readonly) {
            readonly_.insert(name);
        }
    }

    std::vector<std::string> array_words() {
        const int opened = line_at(at_);
        ++at_;
        std::vector<std::string> words;
        while (true) {
            skip_blanks();
            if (at_end()) {
                throw refused_at(opened, "the array that begins here is never closed");
            }
            switch (peek()) {
                case '\n':
                    ++at_;
                    break;
                case '#':
                    skip_comment();
                    break;
                case ')':
                    ++at_;
                    return words;
                case ';':
                case '&':
                case '|':
                case '<':
                case '>':
                case '(':
                    needs_bash();
                default:
                    words.push_back(word(Place::array));
            }
        }
    }

    std::string word(Place place) {
        std::string value;
        // Where bash would look for a tilde: at the front, and behind = and :.
        bool tilde_counts = true;
        while (!ends_word()) {
            const char c = peek();
            switch (c) {
                case '\'':
                    single_quoted(value);
                    break;
                case '"':
                    double_quoted(value);
                    break;
                case '\\':
                    if (peek(1) == '\n') {
                        at_ += 2;
                        continue;
                    }
                    ++at_;
                    value += at_end() ? '\\' : text_[at_++];
                    break;
                case '$':
                    if (peek(1) == '\'' || peek(1) == '"') {
                        needs_bash();
                    }
                    dollar(value);
                    break;
                case '`':
                    needs_bash();
                case '~':
                    if (tilde_counts) {
                        needs_bash();
                    }
                    literal(value);
                    break;
                case '*':
                case '?':
                case '[':
                    if (place == Place::array) {
                        needs_bash();
                    }
                    literal(value);
                    break;
                case '{':
                    if (place != Place::assignment) {
                        needs_bash();
                    }
                    literal(value);
                    break;
                default:
                    literal(value);
            }
            tilde_counts = c == '=' || c == ':';
        }
        // Of these only the blanks, the line's end, `;` and an array's `)` end a word plainly.
        const bool plain_end =
            at_end() || std::string_view(" \t\n;").find(peek()) != std::string_view::npos;
        if (!plain_end && !(place == Place::array && peek() == ')')) {
            needs_bash();
        }
        return value;
    }

    void literal(std::string& value) { value += text_[at_++]; }

    void dollar(std::string& value) {
        constexpr std::string_view special = "{([@*#?-$!";
        const char next = peek(1);
        if (is_name_part(next) || (next != '\0' && special.find(next) != std::string_view::npos)) {
            needs_bash();
        }
        literal(value);
    }

    void single_quoted(std::string& value) {
        const std::size_t end = text_.find('\'', at_ + 1);
        if (end == std::string::npos) {
            throw refused_at(line_at(at_), "the quote that begins here is never closed");
        }
        value += std::string_view(text_).substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
    }

    void double_quoted(std::string& value) {
        const int opened = line_at(at_);
        for (++at_; peek() != '"' || at_end();) {
            if (at_end()) {
                throw refused_at(opened, "the quote that begins here is never closed");
            }
            if (peek() == '`') {
                needs_bash();
            } else if (peek() == '$') {
                dollar(value);
            } else if (peek() == '\\' && peek(1) == '\n') {
                at_ += 2;
            } else if (peek() == '\\' &&
                       std::string_view("$`\"\\").find(peek(1)) != std::string_view::npos) {
                ++at_;
                literal(value);
            } else {
                literal(value);
            }
        }
        ++at_;
    }

    std::string text_;
    std::size_t at_ = 0;
    Values values_;
    // bash's own, and what the file made so: assigning to one is an error that bash judges.
    std::set<std::string, std::less<>> readonly_{"UID",       "EUID",     "PPID",
                                                 "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO"};
};

std::vector<std::string> words_of(const Values& values, std::string_view name) {
    const auto found = values.find(name);
    // VOLUMES="" means none, as it does in a script that loops over the words.
    if (found == values.end() || found->second.words == std::vector<std::string>{""}) {
        return {};
    }
    return found->second.words;
}

std::string word_of(const Values& values, std::string_view name) {
    const std::vector<std::string> words = words_of(values, name);
    if (words.size() > 1) {
        throw refused(std::string(name) + " is an array where one value is meant");
    }
    return words.empty() ? std::string() : words.front();
}

bool yes_or_no(std::string_view name, std::string word) {
    std::transform(word.begin(), word.end(), word.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (word == "yes" || word == "true" || word == "1") {
        return true;
    }
    if (word.empty() || word == "no" || word == "false" || word == "0") {
        return false;
    }
    throw refused(std::string(name) + " is '" + printable(word) + "', where yes or no is meant");
}

bool is_required(std::string_view array, const std::string& name, const std::string& word) {
    if (word != "required" && !word.empty()) {
        throw refused(std::string(array) + " has '" + printable(word) +
                      "' as the second field of '" + printable(name) +
                      "', where 'required' or nothing is meant");
    }
    return !word.empty();
}

SecretDeclaration secret_of(const std::string& text) {
    const std::vector<std::string> fields = split(text, '|');
    if (fields.size() != 3) {
        throw refused("SECRETS has '" + printable(text) + "', where NAME|required|text is meant");
    }
    return {fields[0], is_required("SECRETS", fields[0], fields[1]), fields[2]};
}

SettingDeclaration setting_of(const std::string& text) {
    const std::vector<std::string> fields = split(text, '|');
    if (fields.size() != 4 && fields.size() != 5) {
        throw refused("SETTINGS has '" + printable(text) +
                      "', where NAME|required|default|text or NAME|required|default|text|type is "
                      "meant");
    }
    SettingDeclaration setting{fields[0], is_required("SETTINGS", fields[0], fields[1]), fields[2],
                               fields[3]};
    if (fields.size() == 5) {
        setting.type = fields[4];
    }
    return setting;
}

ServiceConfig config_of(const Values& values) {
    ServiceConfig config;
    config.volumes = words_of(values, "VOLUMES");
    config.extra_containers = words_of(values, "EXTRACONTAINERS");
    config.hooks = words_of(values, "HOOKS");
    config.after = words_of(values, "AFTER");
    config.backup_exclude = words_of(values, "BACKUP_EXCLUDE");
    config.selftest = yes_or_no("SELFTEST", word_of(values, "SELFTEST"));
    if (const std::string version = word_of(values, "VERSION"); !version.empty()) {
        if (version != "1" && version != "2") {
            throw refused("VERSION is '" + printable(version) + "', where 1 or 2 is meant");
        }
        config.version = version == "1" ? 1 : 2;
    }
    for (const std::string& text : words_of(values, "SETTINGS")) {
        config.settings.push_back(setting_of(text));
    }
    for (const std::string& text : words_of(values, "SECRETS")) {
        config.secrets.push_back(secret_of(text));
    }
    check_service_config(config);
    return config;
}

std::string mangled(std::string_view path) {
    std::string result;
    std::copy_if(path.begin(), path.end(), std::back_inserter(result),
                 [](char c) { return is_digit(c) || (is_name_start(c) && c != '_'); });
    return result;
}

// Everything that goes into files, labels and messages is text that cannot steer anything.
void check_text(std::string_view name, const std::string& text) {
    if (printable(text) != text) {
        throw refused(std::string(name) + " has '" + printable(text) +
                      "', with control characters or bytes that are not UTF-8");
    }
}

void check_volume_path(const std::string& path) {
    const auto bad = [&](const std::string& why) {
        return refused("VOLUMES has '" + printable(path) + "', " + why);
    };
    check_text("VOLUMES", path);
    if (path.empty() || path.front() != '/') {
        throw bad("which is not an absolute path");
    }
    if (path == "/") {
        throw bad("the container's root, which cannot be a volume");
    }
    const std::vector<std::string> parts = split(std::string_view(path).substr(1), '/');
    if (std::find(parts.begin(), parts.end(), "..") != parts.end()) {
        throw bad("with '..' in it");
    }
    if (std::any_of(parts.begin(), parts.end(),
                    [](const std::string& part) { return part.empty() || part == "."; })) {
        throw bad("which is not normalised: it has an empty part or '.' in it");
    }
    // The engine takes NAME:PATH:OPTIONS, in which a colon of the path ends it.
    if (path.find(':') != std::string::npos) {
        throw bad("with ':' in it, which the engine cannot mount");
    }
    if (mangled(path).empty()) {
        throw bad("without a letter or digit to name its volume by");
    }
}

void check_volumes(const std::vector<std::string>& volumes) {
    if (volumes.size() > most_volumes) {
        throw refused("VOLUMES has " + std::to_string(volumes.size()) + " paths, at most " +
                      std::to_string(most_volumes) + " are possible");
    }
    std::map<std::string, std::string> by_name;
    for (const std::string& path : volumes) {
        check_volume_path(path);
        const auto [other, is_new] = by_name.emplace(mangled(path), path);
        if (is_new) {
            continue;
        }
        if (other->second == path) {
            throw refused("VOLUMES has '" + path + "' twice");
        }
        throw refused("VOLUMES has '" + other->second + "' and '" + path +
                      "', whose volumes would have the same name '..." + mangled(path) + "'");
    }
}

// Names that variables.sh or bash itself gives a meaning, so that no setting can have them.
bool is_taken_name(std::string_view name) {
    constexpr std::array taken{"VOLUMES",     "DOCKERVOLS",
                               "DOCKEROPTS",  "EXTRACONTAINERS",
                               "SERVICENAME", "IMAGENAME",
                               "IMAGEREF",    "IMAGEID",
                               "INSTALLTIME", "HOSTIP",
                               "PASS",        "SERVICETEMPDIR",
                               "PATH",        "IFS",
                               "ENV",         "HOME",
                               "UID",         "EUID",
                               "PPID",        "SHELLOPTS",
                               "BASHOPTS",    "BASH_VERSINFO",
                               "BASH_ENV",    "CODE_S",
                               "CODE_E",      "ECODE",
                               "IMAGEUSER",   "SECRETSDIR",
                               "SECRETOPTS",  "_"};
    constexpr std::array taken_beginnings{"DRUNNER_", "DOCKER_", "LD_"};
    return std::find(taken.begin(), taken.end(), name) != taken.end() ||
           std::any_of(taken_beginnings.begin(), taken_beginnings.end(),
                       [&](std::string_view beginning) {
                           return name.substr(0, beginning.size()) == beginning;
                       });
}

void check_settings(const std::vector<SettingDeclaration>& settings) {
    constexpr std::array types{"string", "int", "bool", "port", "path", "url"};
    std::set<std::string> names;
    for (const SettingDeclaration& setting : settings) {
        const std::string shown = "SETTINGS has '" + printable(setting.name) + "'";
        if (!is_name(setting.name)) {
            throw refused(shown + ", which is not a variable's name");
        }
        if (is_taken_name(setting.name)) {
            throw refused(shown + ", a name that has a meaning already");
        }
        if (!names.insert(setting.name).second) {
            throw refused(shown + " twice");
        }
        if (std::find(types.begin(), types.end(), setting.type) == types.end()) {
            throw refused(shown + " with the type '" + printable(setting.type) +
                          "', where string, int, bool, port, path or url is meant");
        }
        check_text("SETTINGS", setting.default_value);
        check_text("SETTINGS", setting.text);
    }
}

void check_declared_secrets(const std::vector<SecretDeclaration>& secrets) {
    if (secrets.size() > most_secrets) {
        throw refused("SECRETS has " + std::to_string(secrets.size()) + " names, at most " +
                      std::to_string(most_secrets) + " are possible");
    }
    std::set<std::string> names;
    for (const SecretDeclaration& secret : secrets) {
        if (!is_secret_name(secret.name)) {
            throw refused("SECRETS has '" + printable(secret.name) +
                          "', which is no secret's name");
        }
        if (!names.insert(secret.name).second) {
            throw refused("SECRETS has '" + secret.name + "' twice");
        }
        check_text("SECRETS", secret.text);
    }
}

}  // namespace

ParsedConfig parse_service_config(std::string_view text) {
    const std::string lines = without_carriage_returns(text);
    if (const std::size_t nul = lines.find('\0'); nul != std::string::npos) {
        const auto before =
            std::count(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(nul), '\n');
        throw refused_at(static_cast<int>(before) + 1, "a NUL byte, which no shell can read");
    }
    ParsedConfig parsed;
    try {
        parsed.config = config_of(Parser(lines).parse());
    } catch (const NeedsBash& stop) {
        parsed.bash_line = stop.line;
        parsed.bash_text = trim(split(lines, '\n')[static_cast<std::size_t>(stop.line) - 1]);
    }
    return parsed;
}

std::string evaluation_script(std::string_view path) {
    std::string names;
    std::string report;
    for (const std::string name : known_names) {
        names += " " + name;
        report +=
            "builtin printf '%s\\0' " + name + " \"${#" + name + "[@]}\" \"${" + name + "[@]}\"\n";
    }
    // The image's own environment (ENV VERSION=...) declares nothing. What the file itself prints
    // does not get in between the marks.
    return "unset" + names + "\nexec 3>&1 >&2\nsource " + bash_quote(path) +
           "\nbuiltin set +eu\nexec >&3\nbuiltin printf '%s\\0' '' " + std::string(first_mark) +
           "\n" + report + "builtin printf '%s\\0' " + std::string(last_mark) + "\n";
}

ServiceConfig parse_evaluated_config(std::string_view output) {
    const Error unreadable = refused("bash in the image did not read it to its end");
    const std::string mark = std::string(1, '\0') + std::string(first_mark) + std::string(1, '\0');
    const std::size_t begin = output.rfind(mark);
    if (begin == std::string_view::npos) {
        throw unreadable;
    }
    output.remove_prefix(begin + mark.size());
    const auto next_word = [&] {
        const std::size_t end = output.find('\0');
        if (end == std::string_view::npos) {
            throw unreadable;
        }
        std::string word(output.substr(0, end));
        output.remove_prefix(end + 1);
        return word;
    };
    Values values;
    while (true) {
        const std::string name = next_word();
        if (name == last_mark) {
            return config_of(values);
        }
        const std::string count_text = next_word();
        std::size_t count = 0;
        const char* end = count_text.data() + count_text.size();
        if (std::from_chars(count_text.data(), end, count).ptr != end || count > output.size()) {
            throw unreadable;
        }
        Value value{true, {}};
        for (std::size_t i = 0; i < count; ++i) {
            value.words.push_back(next_word());
        }
        if (count > 0) {
            values.insert_or_assign(name, std::move(value));
        }
    }
}

void check_service_config(const ServiceConfig& config) {
    check_volumes(config.volumes);
    for (const std::string& reference : config.extra_containers) {
        check_text("EXTRACONTAINERS", reference);
        try {
            const ImageReference checked(reference);
        } catch (const Error& error) {
            throw refused(std::string("EXTRACONTAINERS: ") + error.what());
        }
    }
    if (config.version != 1 && config.version != 2) {
        throw refused("VERSION is " + std::to_string(config.version) + ", where 1 or 2 is meant");
    }
    for (const std::string& hook : config.hooks) {
        check_text("HOOKS", hook);
    }
    check_settings(config.settings);
    check_declared_secrets(config.secrets);
    for (const std::string& service : config.after) {
        if (!ServiceName::is_valid(service)) {
            throw refused("AFTER has '" + printable(service) + "', which is no service's name");
        }
    }
    for (const std::string& pattern : config.backup_exclude) {
        check_text("BACKUP_EXCLUDE", pattern);
        if (pattern.empty()) {
            throw refused("BACKUP_EXCLUDE has an empty pattern");
        }
    }
}

std::string volume_name(const ServiceName& service, std::string_view path) {
    std::string name = "drunner-" + service.text() + "-" + mangled(path);
    if (name.size() > longest_volume_name) {
        throw Error(ErrorKind::image_refused,
                    "the volume of '" + printable(path) + "' would have a name of " +
                        std::to_string(name.size()) + " bytes, at most " +
                        std::to_string(longest_volume_name) + " are possible");
    }
    return name;
}

}  // namespace drunner
