package registrytest_test

import (
	"testing"

	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/registrytest"
)

func TestMemory(t *testing.T) {
	registrytest.TestSource(t, func(_ *testing.T, table registrytest.Table) registrytest.Subject {
		m := registrytest.NewMemory(table)
		return registrytest.Subject{
			Source:  m,
			Again:   func(*testing.T) registry.Source { return m },
			Replace: func(_ *testing.T, table registrytest.Table) { m.Replace(table.Rows) },
			Break:   func(_ *testing.T, id string) { m.Break(id) },
		}
	})
}
