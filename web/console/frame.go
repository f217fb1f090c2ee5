package console

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
)

// languageCookie keeps the language that was chosen at a browser. It is no secret.
const languageCookie = "sanad-language"

// frameRoutes are the pages that belong to no part.
func (c *Console) frameRoutes() []route {
	language := post("language", "/language", staff.Visit, c.chooseLanguage)
	language.Bare = true
	return []route{
		c.staticRoute(),
		get("home", "/{$}", staff.Account, c.home).in("console.nav.home"),
		language,
		get("help", "/help", staff.Visit, c.help),
		get("nowhere", "/{rest...}", staff.Visit, func(http.ResponseWriter, *request) error { return errNotFound }),
	}
}

// home is the first page: what the operator can do here, and what waits for them among
// what is about people.
func (c *Console) home(w http.ResponseWriter, r *request) error {
	keys, err := c.cfg.Desk.Passkeys(r.Context(), r.Operator.ID)
	if err != nil {
		return away("people", err)
	}
	office := r.Operator.Office
	if r.Operator.Is(staff.Administrator) {
		office = ""
	}
	var waiting []shown
	for _, a := range []staff.Action{staff.ChangePerson, staff.ChangeOffice} {
		if rule, _ := staff.RuleFor(a); !r.Operator.MayEver(rule.Second) {
			continue
		}
		some, err := c.waiting(r, office, a)
		if err != nil {
			return err
		}
		waiting = append(waiting, some...)
	}
	cards, err := c.lackingCards(r)
	if err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "home", struct {
		One     bool
		Cards   *cardsView
		Witness *witnessView
		Waiting []shown
	}{len(keys) == 1, cards, c.lackingWitness(r), waiting})
}

// help says how the console works and whom to ask.
func (c *Console) help(w http.ResponseWriter, r *request) error {
	return c.render(w, r, http.StatusOK, "help", nil)
}

// chooseLanguage keeps the choice and goes back.
func (c *Console) chooseLanguage(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(i18n.Languages(), func(l i18n.Language) bool { return l.Tag() == f.Get("lang") }) {
		http.SetCookie(w, &http.Cookie{
			Name: languageCookie, Value: f.Get("lang"), Path: Base, MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: c.secure(), SameSite: http.SameSiteLaxMode,
		})
	}
	redirect(w, backTo(f.Get("back")))
	return nil
}

// backTo is an address of the console that somebody gave us, or the first page if it
// is not one.
func backTo(address string) string {
	plain := !strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' })
	if plain && len(address) < 1024 && strings.HasPrefix(address, Base+"/") && !strings.Contains(address, "//") && !strings.Contains(address, "/../") {
		return address
	}
	return Base + "/"
}

// askAgain asks for the passkey and sends the same request once more. What was typed
// stays in the page; nothing was done.
func (c *Console) askAgain(w http.ResponseWriter, r *request) error {
	data := struct {
		Method, Action string
		Fields         []option
	}{Method: strings.ToLower(r.Method), Action: r.URL.Path}
	values := r.URL.Query()
	if r.Method == http.MethodPost {
		f, err := r.readForm()
		if err != nil {
			return c.fault(w, r, err)
		}
		values = f.values
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[name] {
			data.Fields = append(data.Fields, option{Value: v, Label: name})
		}
	}
	return c.render(w, r, http.StatusUnauthorized, "confirm", data)
}
