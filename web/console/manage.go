package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/programme"
)

// Manage is what the pages of batches, programmes, sources, trust, keys and figures
// rest on. A part that is nil has no pages.
type Manage struct {
	// Batches does batches in the background.
	Batches *batchwork.Runner
	// Programmes are those in use.
	Programmes Programmes
	// SourceNames are the sources of the settings that a batch can be made of.
	SourceNames map[string]bool
}

// Programmes are the programmes of the issuer.
type Programmes interface {
	// Programmes returns the newest version of each, by id.
	Programmes(ctx context.Context) ([]*programme.Programme, error)
}

// errBusy: another page changed the same thing meanwhile.
var errBusy = errors.New("console: somebody else was faster")

// manageRoutes are the pages of managers.
func (c *Console) manageRoutes() []route {
	return c.batchRoutes()
}

// download sends a file that is made while it is sent. Its name is ours.
func download(w http.ResponseWriter, media, name string) {
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
}
