package console

import (
	"fmt"
	"net/http"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
)

// table is every route of the console. Each part has its own function, and one line
// here.
func (c *Console) table() ([]route, error) {
	var all []route
	for _, part := range [][]route{
		c.frameRoutes(),
		c.signInRoutes(), c.cardRoutes(),
		c.queueRoutes(), c.searchRoutes(), c.recordRoutes(), c.changeRoutes(),
		c.manageRoutes(),
		c.peopleRoutes(),
		c.printRoutes(),
	} {
		all = append(all, part...)
	}
	for i := range all {
		if err := c.complete(&all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A route is a row of the table. [get] and [post] make most of them.
type route struct {
	web.Route
	// Action is what it is, and who may ask. Required.
	Action staff.Action
	// Fresh asks for the passkey anew unless it was used a moment ago. Set for every
	// POST of an action whose rule says so.
	Fresh bool
	// Nav is the key of its name in the navigation; it is not there if empty. The path
	// of such a route has no holes.
	Nav string
	// Bare rows need neither session nor database, and know nobody.
	Bare bool
	// JSON rows are asked by scripts; their refusals are JSON.
	JSON bool
	// Serve answers.
	Serve func(w http.ResponseWriter, r *request) error
}

// get is a page. Its pattern is below [Base], such as /records/{id}.
func get(name, pattern string, a staff.Action, serve func(http.ResponseWriter, *request) error) route {
	return route{Route: web.Route{Method: http.MethodGet, Name: "console_" + name, Pattern: Base + pattern, Query: true, Rate: rateStaff}, Action: a, Serve: serve}
}

// post is where a form goes, of at most 64 KiB.
func post(name, pattern string, a staff.Action, serve func(http.ResponseWriter, *request) error) route {
	rule, _ := staff.RuleFor(a)
	return route{
		Route: web.Route{
			Method: http.MethodPost, Name: "console_" + name, Pattern: Base + pattern, MaxBody: maxForm, Media: []string{web.MediaForm}, Rate: rateStaff,
		},
		Action: a, Fresh: rule.Fresh, Serve: serve,
	}
}

const (
	// rateStaff is the limit of an office, whose people share an address.
	rateStaff = "staff"
	// maxForm is how long a form can be.
	maxForm = 64 << 10
)

// in puts a row into the navigation.
func (r route) in(key string) route {
	r.Nav = key
	return r
}

// complete checks a row and gives it its handler.
func (c *Console) complete(r *route) error {
	if _, ok := staff.RuleFor(r.Action); !ok {
		return fmt.Errorf("console: route %s: nobody may %q", r.Name, r.Action)
	}
	if r.Bare && r.Action != staff.Visit {
		return fmt.Errorf("console: route %s asks nobody who they are", r.Name)
	}
	if r.Serve == nil {
		return fmt.Errorf("console: route %s does nothing", r.Name)
	}
	row := *r
	r.Handler = func(w http.ResponseWriter, hr *http.Request) error { return c.serve(w, hr, &row) }
	return nil
}
