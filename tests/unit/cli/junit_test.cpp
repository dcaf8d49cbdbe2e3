#include "cli/junit.hpp"

#include <doctest/doctest.h>

using namespace drunner;

TEST_CASE("a report as JUnit XML, with nothing of a stranger's that is no XML") {
    TestReport report;
    report.reference = "app";
    report.level = 2;
    report.steps = {
        {"install", 0, TestStep::Verdict::passed, "", 1.5},
        {"selftest", 5, TestStep::Verdict::skipped, "the image has none", 0},
        {"backup", 6, TestStep::Verdict::failed, "it \"fails\"\n  | <a> & \x1b[2J", 0.25}};
    CHECK(junit_document(report) ==
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<testsuite name=\"app\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" "
          "time=\"1.750\">\n"
          "  <properties><property name=\"level\" value=\"2\"/></properties>\n"
          "  <testcase classname=\"app\" name=\"install\" time=\"1.500\"/>\n"
          "  <testcase classname=\"app\" name=\"selftest\" time=\"0.000\">"
          "<skipped message=\"the image has none\"/></testcase>\n"
          "  <testcase classname=\"app\" name=\"backup\" time=\"0.250\">"
          "<failure message=\"it &quot;fails&quot;\">it &quot;fails&quot;&#10;  | &lt;a&gt; &amp; "
          "\\x1b[2J</failure></testcase>\n"
          "</testsuite>\n");
}
