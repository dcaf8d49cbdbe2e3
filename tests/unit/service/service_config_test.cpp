#include "service/service_config.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "core/error.hpp"
#include "core/text.hpp"
#include "unit/host/scratch.hpp"
#include "unit/service/bash_judge.hpp"

using namespace drunner;
using drunner::test::ask_bash;
using drunner::test::Scratch;

namespace {

using Words = std::vector<std::string>;

ServiceConfig parsed(const std::string& text) {
    const ParsedConfig result = parse_service_config(text);
    CAPTURE(text);
    CAPTURE(result.bash_line);
    REQUIRE(result.config);
    return *result.config;
}

Words volumes(const std::string& text) {
    return parsed(text).volumes;
}

int bash_line(const std::string& text) {
    const ParsedConfig result = parse_service_config(text);
    CHECK(result.config.has_value() == (result.bash_line == 0));
    return result.bash_line;
}

std::string refusal(const std::string& text) {
    try {
        parse_service_config(text);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::image_refused);
        return error.what();
    }
    return "";
}

bool refuses(const std::string& text, const std::string& words) {
    const std::string message = refusal(text);
    CAPTURE(message);
    CHECK(message.find(words) != std::string::npos);
    return message.find(words) != std::string::npos;
}

// What bash makes of the text, through the program that runs in a container.
ServiceConfig evaluated(const Scratch& scratch, const std::string& text,
                        const std::vector<std::string>& environment = {}) {
    write_file(scratch.file("servicecfg.sh"), text);
    return parse_evaluated_config(
        ask_bash(evaluation_script(scratch.file("servicecfg.sh")), environment).output);
}

std::string with_nuls(std::string text) {
    std::replace(text.begin(), text.end(), '|', '\0');
    return text;
}

}  // namespace

TEST_CASE("the forms that real images use") {
    CHECK(volumes("VOLUMES=()\nEXTRACONTAINERS=()\n").empty());
    CHECK(volumes("#!/bin/bash\nVOLUMES=(\"/config\")").front() == "/config");
    CHECK(volumes("VOLUMES=( \"/etc/samba\" \"/var/lib/samba\" )") ==
          Words{"/etc/samba", "/var/lib/samba"});
    CHECK(volumes("VOLUMES=( \\\n  /a '/b c' \\\n)") == Words{"/a", "/b c"});
    CHECK(volumes("\xef\xbb\xbf#!/bin/bash\r\nVOLUMES=(\"/config\") # where\r\n\r\n") ==
          Words{"/config"});
    CHECK(volumes("VOLUMES=(\n  # the first\n  \"/a\" # and\n\n  /b\n)\n") == Words{"/a", "/b"});
    CHECK(volumes("readonly VOLUMES=(/a)\nexport OTHER=x\ndeclare -ar LIST=(/x)\n") == Words{"/a"});
    CHECK(volumes("VOLUMES=(/a); VOLUMES+=(/b)\nVOLUMES+=(/c);") == Words{"/a", "/b", "/c"});
    CHECK(volumes("VOLUMES=/a").front() == "/a");
    CHECK(volumes("VOLUMES=\"\"").empty());
    CHECK(volumes("VOLUMES=(\"\")").empty());
    CHECK(volumes("VOLUMES=(\"/a\"'/b'/c\\ d)") == Words{"/a/b/c d"});
    CHECK(volumes("").empty());
}

TEST_CASE("all that it declares") {
    const ServiceConfig config = parsed(
        "VOLUMES=(/data)\nEXTRACONTAINERS=(\"redis:7\")\nVERSION=2\nHOOKS=(a b)\nSELFTEST=Yes\n"
        "SETTINGS=(\"PORT|required||the port|port\" 'TITLE||my blog|the title')\nAFTER=(db)\n"
        "BACKUP_EXCLUDE=('*.tmp' \"cache/*\")\nSOMETHING=else\n"
        "SECRETS=('key|required|the key|check' \"hint||\")\n");
    CHECK(config.extra_containers == Words{"redis:7"});
    CHECK(config.version == 2);
    CHECK(config.hooks == Words{"a", "b"});
    CHECK(config.selftest);
    CHECK(config.settings ==
          std::vector<SettingDeclaration>{{"PORT", true, "", "the port", "port"},
                                          {"TITLE", false, "my blog", "the title", "string"}});
    CHECK(config.secrets == std::vector<SecretDeclaration>{{"key", true, "the key", true},
                                                           {"hint", false, "", false}});
    CHECK(config.after == Words{"db"});
    CHECK(config.backup_exclude == Words{"*.tmp", "cache/*"});
    CHECK(parsed("A=1 B=2").version == 1);
    CHECK_FALSE(parsed("SELFTEST=no").selftest);
}

TEST_CASE("what would need execution names its line, and nothing is executed") {
    const Scratch scratch;
    const std::string witness = scratch.file("witness");
    const ParsedConfig result =
        parse_service_config("# one\nVOLUMES=(\n  \"$(touch " + witness + ")\")\n");
    CHECK(result.bash_line == 3);
    CHECK(result.bash_text == "\"$(touch " + witness + ")\")");
    CHECK_FALSE(exists(witness));
    for (const std::string text : {"A=$B",
                                   "A=\"x$B\"",
                                   "A=${B}",
                                   "A=`id`",
                                   "A=\"`id`\"",
                                   "A=$(id)",
                                   "A=$((1))",
                                   "A=$[1]",
                                   "A=$'x'",
                                   "A=$\"x\"",
                                   "A=$1",
                                   "A=$$",
                                   "A=\"$@\"",
                                   "A=~",
                                   "A=x:~",
                                   "VOLUMES=(~/x)",
                                   "VOLUMES=(/a*)",
                                   "VOLUMES=(/a?)",
                                   "VOLUMES=([0]=/a)",
                                   "VOLUMES[0]=/a",
                                   "VOLUMES=(/{a,b})",
                                   "VOLUMES=(<(id))",
                                   "VOLUMES=(/a;)",
                                   "VOLUMES=(/a)x",
                                   "A=1 id",
                                   "id",
                                   "if true; then A=1; fi",
                                   "for x in a; do A=1; done",
                                   "f() { A=1; }",
                                   "function f { A=1; }",
                                   "source /x",
                                   ". /x",
                                   "A=1 && B=2",
                                   "A=1 | B=2",
                                   "A=1 & B=2",
                                   "A=1 >file",
                                   "A=1;;",
                                   "declare -i A=1",
                                   "declare -A A=()",
                                   "declare A={a,b}",
                                   "export",
                                   "readonly A=1\nA=2",
                                   "UID=3",
                                   "readonly A\nA=2",
                                   "A=(1)\nA=2",
                                   "A=1\nA+=(2)",
                                   "A=(1)\nA+=2",
                                   "declare -a A=1",
                                   "A = 1",
                                   "local A=1",
                                   "export -p",
                                   "unset VOLUMES",
                                   "A=1 readonly B=2",
                                   "exit",
                                   "A+ =1",
                                   "(A=1)",
                                   "{ A=1; }",
                                   "! A=1",
                                   "A=(1",
                                   "=x",
                                   "VOLUMES=(/a) VERSION=2 id"}) {
        CAPTURE(text);
        if (text == std::string("A=(1")) {
            CHECK_FALSE(refusal(text).empty());
        } else {
            CHECK(bash_line(text) >= 1);
        }
    }
    CHECK(bash_line("A=1\n\n# x\nB=2; C=$D\n") == 4);
    CHECK(bash_line("A='\n\n'\nB=$C") == 4);
}

TEST_CASE("text that no shell reads is refused with its line") {
    CHECK(refuses("A=1\nB='x\n\n", "line 2: the quote"));
    CHECK(refuses("A=1\nB=\"x\n\n", "line 2: the quote"));
    CHECK(refuses("\nVOLUMES=(\n/a\n", "line 2: the array"));
    CHECK(refuses(std::string("A=1\nB=\0", 8), "line 2: a NUL"));
}

TEST_CASE("each limit has its own refusal") {
    CHECK(refuses("VOLUMES=(../x)", "absolute"));
    CHECK(refuses("VOLUMES=(x)", "absolute"));
    CHECK(refuses("VOLUMES=(/)", "root"));
    CHECK(refuses("VOLUMES=(/a/../b)", "'..'"));
    CHECK(refuses("VOLUMES=(/a/./b)", "normalised"));
    CHECK(refuses("VOLUMES=(/a//b)", "normalised"));
    CHECK(refuses("VOLUMES=(/a/)", "normalised"));
    CHECK(refuses("VOLUMES=(/a:b)", "':'"));
    CHECK(refuses("VOLUMES=(\"/a\nb\")", "control characters"));
    CHECK(refuses("VOLUMES=('/a\xff')", "UTF-8"));
    CHECK(refuses("VOLUMES=(/a/b /ab)", "the same name"));
    CHECK(refuses("VOLUMES=(/a /a)", "twice"));
    CHECK(refuses("VOLUMES=(/_-_)", "letter or digit"));
    CHECK(refuses("VOLUMES=(\"/\xc3\xbc\")", "letter or digit"));
    CHECK(refuses("VERSION=3", "1 or 2"));
    CHECK(refuses("VERSION=(1 2)", "array"));
    CHECK(refuses("SELFTEST=maybe", "yes or no"));
    CHECK(refuses("SETTINGS=('PORT')", "NAME|required"));
    CHECK(refuses("SETTINGS=('PORT|maybe||x')", "required"));
    CHECK(refuses("SECRETS=('key|required')", "NAME|required|text|check"));
    CHECK(refuses("SECRETS=('key|||checked')", "NAME|required|text|check"));
    CHECK(refuses("SETTINGS=('1PORT|||x')", "variable's name"));
    CHECK(refuses("SETTINGS=('PORT|||x|number')", "type"));
    CHECK(refuses("SETTINGS=('PORT|||x' 'PORT|||x')", "twice"));
    CHECK(refuses("SETTINGS=('VOLUMES|||x')", "meaning"));
    CHECK(refuses("SETTINGS=('DOCKER_HOST|||x')", "meaning"));
    CHECK(refuses("AFTER=(Not/AName)", "service's name"));
    CHECK(refuses("BACKUP_EXCLUDE=(a '')", "empty pattern"));
    CHECK(refuses("EXTRACONTAINERS=('redis 7')", "EXTRACONTAINERS"));
    std::string many = "VOLUMES=(";
    for (int i = 0; i < 64; ++i) {
        many += " /v" + std::to_string(i);
    }
    CHECK(volumes(many + ")").size() == 64);
    CHECK(refuses(many + " /one-more)", "at most 64"));
}

TEST_CASE("bash and the parser read the same, wherever the parser reads at all") {
    const Scratch scratch;
    for (const std::string text :
         {"VOLUMES=(\"/config\" \"/minecraft/data\")\nEXTRACONTAINERS=(\"a/b\")\n",
          "VOLUMES=(/a\\\n/b)\n",
          "VOLUMES=(\"/a\\\nb\")",
          "VOLUMES=('/a' # x ) y\n)\n",
          "HOOKS=(\"a\\b\\\"\\$\\`\\\\\" 'a\\b' a\\b\\'c \"it's\" 'x'\"y\"z a#b # c\n)",
          "HOOKS=(a=b:c \"5$\" \"$ \" '$x' x$ {} )",
          "HOOKS=(a$ \"$\")",
          "A=a*b HOOKS=(x)\n",
          "HOOKS=x\nHOOKS+=y",
          "HOOKS=(a)\nHOOKS+=(b \"\")",
          "HOOKS=(\"\")",
          "HOOKS=\"\"",
          "HOOKS=(a) ; HOOKS+=(b) ;VERSION=2 #\n",
          "HOOKS=( a\tb\n\n c )",
          "HOOKS=#x",
          "A= HOOKS=(x)",
          "declare -r HOOKS=(a) VERSION=2 # c",
          "export HOOKS=x",
          "readonly -a HOOKS=(a b)",
          "typeset HOOKS=\"a b\"\n",
          "HOOKS=(a!b !)",
          "HOOKS=a\\",
          "HOOKS=(\xc3\xbc)",
          "VERSION=1 # VERSION=2",
          "VERSION='1'\"\"",
          "HOOKS={a,b}",
          "HOOKS=[a]*",
          "HOOKS=(a %b @c +d ,e ^f ]g }h -i =j)"}) {
        CAPTURE(text);
        const ParsedConfig result = parse_service_config(text);
        const bool left_to_bash = std::string(text).find("{}") != std::string::npos;
        CHECK(result.config.has_value() != left_to_bash);
        if (result.config) {
            CHECK(*result.config == evaluated(scratch, text));
        }
    }
}

TEST_CASE("bash and the parser read the same of random text") {
    const Scratch scratch;
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const Words pieces{"a", "/b", "'", "\"",    "\\",        " ",          "\n",      "#",
                       "$", "~",  "=", ":",     "{",         "}",          ",",       "*",
                       ")", "(",  ";", "'c d'", "\"e f\"",   "\\\n",       "\t",      "%",
                       "!", "+=", "[", "]",     "HOOKS=(x)", "HOOKS+=(y)", "HOOKS=z", "VERSION=2"};
    std::uniform_int_distribution<std::size_t> pick(0, pieces.size() - 1);
    std::uniform_int_distribution<int> length(0, 9);
    int compared = 0;
    for (int i = 0; i < 500; ++i) {
        std::string text = i % 3 == 0 ? "HOOKS=" : "HOOKS=(";
        for (int n = length(random); n > 0; --n) {
            text += pieces[pick(random)];
        }
        text += i % 3 == 0 ? "\n" : ")\n";
        std::optional<ServiceConfig> config;
        try {
            config = parse_service_config(text).config;
        } catch (const Error&) {
            continue;  // bash's answer to text that it cannot read is no config
        }
        if (config) {
            CAPTURE(text);
            CHECK(*config == evaluated(scratch, text));
            ++compared;
        }
    }
    CHECK(compared > 20);
}

TEST_CASE("evaluation reads what the parser leaves to bash") {
    const Scratch scratch;
    CHECK(evaluated(scratch,
                    "for v in a b; do VOLUMES+=(\"/$v\"); done\nBASE=/x\n"
                    "if true; then VERSION=2; fi; EXTRACONTAINERS=(\"redis:$((3+4))\")")
              .volumes == Words{"/a", "/b"});
    SUBCASE("whatever else the file says, prints and sets") {
        const ServiceConfig config =
            evaluated(scratch,
                      "echo drunner-servicecfg-begin; printf '\\0junk\\0'; set -eu; echo x >&2\n"
                      "VOLUMES=(\"$(echo /data)\")\n[[ -e /nowhere ]] && VERSION=2 || true\n");
        CHECK(config.volumes == Words{"/data"});
        CHECK(config.version == 1);
    }
    SUBCASE("the image's environment declares nothing") {
        CHECK(evaluated(scratch, "A=$(true)",
                        {"VERSION=1.2.3", "VOLUMES=/x", "SETTINGS=nonsense"}) == ServiceConfig{});
    }
    SUBCASE("what comes out is checked like anything else") {
        CHECK_THROWS_AS(evaluated(scratch, "VOLUMES=(\"$(id)\")"), Error);
        CHECK_THROWS_AS(evaluated(scratch, "VERSION=$((1+2))"), Error);
    }
    SUBCASE("a file that ends early, or is no bash, is refused") {
        CHECK_THROWS_AS(evaluated(scratch, "VOLUMES=(/a)\nexit 0"), Error);
        CHECK_THROWS_AS(evaluated(scratch, "set -e; false"), Error);
    }
    const std::string whole =
        with_nuls("|drunner-servicecfg-begin|VOLUMES|1|/a|drunner-servicecfg-end|");
    CHECK(parse_evaluated_config(whole).volumes == Words{"/a"});
    for (std::size_t length = 0; length < whole.size(); ++length) {
        CHECK_THROWS_AS(parse_evaluated_config(whole.substr(0, length)), Error);
    }
    const std::string too_many =
        with_nuls("|drunner-servicecfg-begin|VOLUMES|99999999999999999999|");
    CHECK_THROWS_AS(parse_evaluated_config(too_many), Error);
}

TEST_CASE("volumes are named as they were in 2016") {
    CHECK(volume_name(ServiceName("files"), "/var/lib/samba") == "drunner-files-varlibsamba");
    CHECK(volume_name(ServiceName("a-b"), "/app/src/.tmp_X9") == "drunner-a-b-appsrctmpX9");
    const ServiceName longest(std::string(63, 's'));
    const std::string fits = "/" + std::string(255 - 8 - 63 - 1, 'p');
    CHECK(volume_name(longest, fits).size() == 255);
    CHECK_THROWS_AS(volume_name(longest, fits + "p"), Error);
}
