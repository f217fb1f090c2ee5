package work_test

import (
	"testing"

	"github.com/sanad-id/sanad/work"
	"github.com/sanad-id/sanad/work/worktest"
)

// TestMemory: the store of these tests keeps the contract, too.
func TestMemory(t *testing.T) {
	worktest.TestStore(t, func(*testing.T) work.Store { return worktest.NewMemory() })
	worktest.TestIndex(t, func(*testing.T) work.Index { return worktest.NewMemory() })
}
