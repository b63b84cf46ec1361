// The facts of a cell, from its constants.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cells/facts.h"

#include "kernels/cells/cells.h"
#include "kernels/selection/resident_tiles.h"

namespace varlstm::cuda {

CellFacts cell_facts(Cell kind) {
  return with_cell(kind, [](auto cell) -> CellFacts {
    using Type = decltype(cell);
    static_assert(Type::kSaved >= Type::kGates, "the saved values take the place of the x-gates");
    static_assert(has_two_products(Type::kKind) == (Type::kSecondGates > 0), "selection and kernels disagree");
    return {Type::kGates, Type::kSaved,     Type::kStateGates, Type::kSecondGates,
            Type::kHasC,  Type::kStateBias, Type::kPassesH};
  });
}

}  // namespace varlstm::cuda
