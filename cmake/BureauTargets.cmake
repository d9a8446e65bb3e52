# What every target of ours shares: packages, warnings, sanitizers, compiler cache.
find_package(Threads REQUIRED)
find_package(tl-expected REQUIRED)
find_package(fmt REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(date REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(bureau_sodium_pc REQUIRED IMPORTED_TARGET libsodium)
add_library(bureau_sodium INTERFACE)
target_link_libraries(bureau_sodium INTERFACE PkgConfig::bureau_sodium_pc)

find_program(BUREAU_CCACHE ccache)

function(bureau_configure target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
  if(BUREAU_CCACHE AND PROJECT_IS_TOP_LEVEL)
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER "${BUREAU_CCACHE}"
                                               C_COMPILER_LAUNCHER "${BUREAU_CCACHE}")
  endif()
  if(BUREAU_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${BUREAU_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=undefined)
    target_link_options(${target} PUBLIC -fsanitize=${BUREAU_SANITIZE})
  endif()
endfunction()
