# Writes OUTPUT, a C++ file with every file below ROOT as bytes, named by its path below ROOT.
file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/*)
# Schemas are for who reads the answers, and are installed only.
list(FILTER files EXCLUDE REGEX "^schemas/")
list(SORT files)
set(arrays "")
set(rows "")
set(index 0)
foreach(file ${files})
    file(READ ${ROOT}/${file} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND arrays "const unsigned char bytes_${index}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${file}\", bytes_${index}, sizeof(bytes_${index}) - 1},\n")
    math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT}
"#include \"service/templates.hpp\"\n\nnamespace drunner {\nnamespace {\n${arrays}}  // namespace\n
const EmbeddedFile embedded_files[] = {\n${rows}    {nullptr, nullptr, 0},\n};\n}  // namespace drunner\n")
