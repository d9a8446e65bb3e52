// bureau: the command line of an office.

#include "office.hpp"

int main(int argc, char** argv) { return cli::run_program(argc, argv); }
