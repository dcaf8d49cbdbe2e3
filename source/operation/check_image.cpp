#include "operation/image_choice.hpp"
#include "operation/image_inspection.hpp"
#include "operation/operations.hpp"

namespace drunner {

std::vector<Finding> check_image(Machine& machine, const ImageReference& reference) {
    const ImageChoice choice = choose_image(machine, {reference, machine.config.pull, {}, {}});
    return check_contract(read_image(machine, choice.image, reference.text()));
}

}  // namespace drunner
