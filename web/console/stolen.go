package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sanad-id/sanad/figures"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/staff"
)

// A theft is what becomes of a key that somebody else may have: what is to happen, or,
// once two people agreed, what is left to do.
type theft struct {
	Key     string
	Purpose string
	Since   time.Time
	// Credential says that certificates are concerned. Issued and Wallets are how many
	// were signed since, to the day; Counted says that this is known.
	Credential, Counted bool
	Issued, Wallets     int64
	// Replace says that a new key is made, since no other signs.
	Replace bool
	// Marked, Published and Signs are how far it is: the key is marked, verifiers can
	// know the next one, and one signs.
	Marked, Published, Signs bool
}

// stealable are the keys that can be marked here: of purposes that are looked after here,
// and not marked yet.
func stealable(all []keys.Key) []keys.Key {
	return slices.DeleteFunc(slices.Clone(all), func(k keys.Key) bool {
		return k.State == keys.Compromised || !slices.Contains(rotated, k.Purpose)
	})
}

// stolenKey asks which key and since when, and shows what would happen.
func (c *Console) stolenKey(w http.ResponseWriter, r *request) error {
	key, err := r.query("key")
	if err != nil {
		return err
	}
	since, err := r.query("since")
	if err != nil {
		return err
	}
	all, err := c.cfg.Manage.Keys.Keys(r.Context())
	if err != nil {
		return away("keys", err)
	}
	f := blank("key", key, "since", since)
	if key == "" && since == "" {
		return c.stolenPage(w, r, f, all, nil)
	}
	step, ok := c.readStolen(f, all)
	if !ok {
		return c.stolenPage(w, r, f, all, nil)
	}
	t, err := c.theft(r, step, time.Time{})
	if err != nil {
		return err
	}
	return c.stolenPage(w, r, f, all, t)
}

func (c *Console) stolenPage(w http.ResponseWriter, r *request, f *form, all []keys.Key, t *theft) error {
	var choices []option
	for _, k := range stealable(all) {
		id := k.ID().String()
		choices = append(choices, option{
			Value: id, Label: r.Lang.Text("manage.purpose."+string(k.Purpose), nil) + " · " + id, Hint: r.Lang.Text("manage.key."+string(k.State), nil),
		})
	}
	return c.renderForm(w, r, http.StatusOK, "key_stolen", f, struct {
		Keys  []option
		Theft *theft
	}{choices, t})
}

// readStolen reads which key and since when: the beginning of a day that is not to come.
func (c *Console) readStolen(f *form, all []keys.Key) (step rotation, ok bool) {
	id := f.Get("key")
	i := slices.IndexFunc(all, func(k keys.Key) bool { return k.ID().String() == id })
	if i < 0 || len(stealable(all[i:i+1])) == 0 {
		f.fail("key", "console.form.choose")
		return step, false
	}
	since, err := time.ParseInLocation(time.DateOnly, f.Get("since"), c.cfg.Zone)
	if err != nil || since.After(c.now()) || since.Year() < 2000 {
		f.fail("since", "manage.stolen.since.wrong")
		return step, false
	}
	return rotation{Purpose: all[i].Purpose, Stolen: id, Since: since.UTC()}, true
}

// proposeStolen asks a second person.
func (c *Console) proposeStolen(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	all, err := c.cfg.Manage.Keys.Keys(r.Context())
	if err != nil {
		return away("keys", err)
	}
	step, ok := c.readStolen(f, all)
	if !ok {
		return c.stolenPage(w, r, f, all, nil)
	}
	payload, err := json.Marshal(step)
	if err != nil {
		return err
	}
	return c.askSecond(w, r, staff.ChangeKeys, keysPath, "key-"+string(step.Purpose), payload)
}

// theft says what becomes of a key, as things are now, if it was decided at this moment.
func (c *Console) theft(r *request, step rotation, decided time.Time) (*theft, error) {
	all, err := c.cfg.Manage.Keys.Keys(r.Context())
	if err != nil {
		return nil, away("keys", err)
	}
	t := &theft{Key: step.Stolen, Purpose: string(step.Purpose), Since: step.Since, Credential: step.Purpose == keys.Credential}
	until := c.now()
	for _, k := range all {
		switch {
		case k.Purpose != step.Purpose:
		case k.ID().String() == step.Stolen:
			t.Marked = k.State == keys.Compromised
			if k.State == keys.Retired && k.SignUntil.Before(until) {
				until = k.SignUntil
			}
		default:
			t.Signs = t.Signs || k.State == keys.Active
			t.Published = t.Published || k.Published.After(decided)
		}
	}
	t.Replace = !t.Signs
	if !t.Credential || c.cfg.Manage.Figures == nil {
		return t, nil
	}
	counts, err := c.cfg.Manage.Figures.Figures(r.Context(), step.Since.UTC().Format(time.DateOnly), until.Format(time.DateOnly))
	if err != nil {
		return nil, away("figures", err)
	}
	sum := figures.Sum(counts)
	t.Counted, t.Issued, t.Wallets = true, sum[figures.Key{What: figures.Issued}], sum[figures.Key{What: figures.Wallet}]
	return t, nil
}

// markStolen marks the key that two people agreed on, and makes one in its place unless
// there is one.
func (c *Console) markStolen(ctx context.Context, r *request, agreed rotation) error {
	all, err := c.cfg.Manage.Keys.Keys(ctx)
	if err != nil {
		return away("keys", err)
	}
	i := slices.IndexFunc(stealable(all), func(k keys.Key) bool { return k.ID().String() == agreed.Stolen && k.Purpose == agreed.Purpose })
	if i < 0 {
		return errBusy // somebody else marked it
	}
	_, err = c.cfg.Manage.Keys.CompromiseKey(ctx, stealable(all)[i].ID(), agreed.Since, r.Operator.ID)
	if errors.Is(err, keys.ErrTransition) {
		return errBusy
	}
	if err != nil {
		return err
	}
	next, _, err := c.plan(ctx, agreed.Purpose)
	if err != nil || !next.Emergency || next.Step != keys.StepGenerate {
		return err
	}
	_, err = c.cfg.Manage.Keys.RotateKey(ctx, agreed.Purpose, true, r.Operator.ID)
	return err
}
