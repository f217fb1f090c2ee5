package console

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
)

// Deeds of people about their own account, for the audit log.
const (
	deedEnrolled staff.Action = "account.enrolled"
	deedAdded    staff.Action = "account.passkey_added"
	deedRemoved  staff.Action = "account.passkey_removed"
	deedLocked   staff.Action = "account.passkey_locked"
)

func (c *Console) signInRoutes() []route {
	add := ceremony("passkey_add", "/account/passkeys/finish", staff.Account, c.addPasskey)
	add.Fresh = true
	askAdd := ceremony("passkey_ask", "/account/passkeys/begin", staff.Account, c.askAdd)
	askAdd.Fresh = true
	remove := post("passkey_remove", "/account/passkeys/remove", staff.Account, c.removePasskey)
	remove.Fresh = true
	return []route{
		get("sign_in", "/sign-in", staff.Visit, c.signInPage),
		ceremony("sign_in_begin", "/sign-in/begin", staff.Visit, c.askSignIn),
		ceremony("sign_in_finish", "/sign-in/finish", staff.Visit, c.signIn),
		get("invitation", "/invitation/{secret}", staff.Visit, c.invitationPage),
		ceremony("invitation_begin", "/invitation/{secret}/begin", staff.Visit, c.askEnrol),
		ceremony("invitation_finish", "/invitation/{secret}/finish", staff.Visit, c.enrol),
		ceremony("confirm_begin", "/confirm/begin", staff.Account, c.askConfirm),
		ceremony("confirm_finish", "/confirm/finish", staff.Account, c.confirm),
		get("account", "/account", staff.Account, c.account),
		askAdd, add, remove,
		post("sign_out", "/sign-out", staff.Account, c.signOut),
	}
}

// ceremony is a row that the script of the passkey asks. Its refusals are JSON.
func ceremony(name, pattern string, a staff.Action, serve func(http.ResponseWriter, *request) error) route {
	r := post(name, pattern, a, serve)
	r.Media, r.JSON, r.Rate = []string{web.MediaJSON}, true, web.DefaultRate
	return r
}

// signInPage asks for the passkey. Who is signed in goes on.
func (c *Console) signInPage(w http.ResponseWriter, r *request) error {
	next, err := r.query("next")
	if err != nil {
		return err
	}
	if r.Operator.ID != "" {
		redirect(w, backTo(next))
		return nil
	}
	return c.render(w, r, http.StatusOK, "sign_in", struct{ Next string }{backTo(next)})
}

// signOut ends the session.
func (c *Console) signOut(w http.ResponseWriter, r *request) error {
	if err := c.end(w, r); !errors.Is(err, errSignedOut) {
		return err
	}
	redirect(w, Base+"/sign-in")
	return nil
}

// invited finds the link that a request is about. What does not work, or never was, is
// errNotFound.
func (c *Console) invited(r *request) (digest [32]byte, link staff.Invitation, op staff.Operator, err error) {
	secret := r.PathValue("secret")
	if _, err := base64.RawURLEncoding.DecodeString(secret); err != nil || len(secret) != 43 {
		return digest, link, op, errNoLink
	}
	digest = staff.InvitationDigest(secret)
	link, op, err = c.cfg.Desk.Invitation(r.Context(), digest, c.now())
	if errors.Is(err, desk.ErrNone) {
		return digest, link, op, errNoLink
	}
	if err != nil {
		return digest, link, op, away("people", err)
	}
	return digest, link, op, nil
}

// errNoLink: the link was used, is too late or never was. Which is not told.
var errNoLink = errors.New("console: the link does not work")

// invitationPage says who is invited, and asks for a passkey.
func (c *Console) invitationPage(w http.ResponseWriter, r *request) error {
	_, link, op, err := c.invited(r)
	if err != nil {
		return err
	}
	office, err := c.cfg.Desk.Office(r.Context(), op.Office)
	if err != nil {
		return away("people", err)
	}
	return c.render(w, r, http.StatusOK, "invitation", struct {
		Link    staff.Invitation
		Person  staff.Operator
		Office  staff.Office
		Path    string
		Recover bool
	}{link, op, office, r.URL.Path, link.Kind == staff.RecoverLink})
}

func (c *Console) askEnrol(w http.ResponseWriter, r *request) error {
	_, _, op, err := c.invited(r)
	if err != nil {
		return err
	}
	return c.askRegister(w, r, forEnrol, op)
}

// enrol uses an invitation up: its operator has a passkey and is signed in.
func (c *Console) enrol(w http.ResponseWriter, r *request) error {
	digest, _, op, err := c.invited(r)
	if err != nil {
		return err
	}
	key, err := c.register(r, forEnrol, op)
	if err != nil {
		return err
	}
	err = c.actAs(r.Context(), op.ID, deed{Action: deedEnrolled, Subject: op.ID}, func(ctx context.Context) (err error) {
		op, err = c.cfg.Desk.Enrol(ctx, digest, key, c.now())
		return err
	})
	switch {
	case errors.Is(err, desk.ErrNone):
		return errNoLink
	case errors.Is(err, desk.ErrExists):
		return errTaken
	case err != nil:
		return away("people", err)
	}
	if err := c.begin(w, r, op); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]string{"to": Base + "/account"})
}

// account shows an operator their own passkeys.
func (c *Console) account(w http.ResponseWriter, r *request) error {
	all, err := c.cfg.Desk.Passkeys(r.Context(), r.Operator.ID)
	if err != nil {
		return away("people", err)
	}
	return c.render(w, r, http.StatusOK, "account", struct {
		Passkeys []staff.Passkey
		One      bool
	}{all, len(all) == 1})
}

func (c *Console) askAdd(w http.ResponseWriter, r *request) error {
	return c.askRegister(w, r, forAdd, r.Operator)
}

// addPasskey adds a passkey to the account.
func (c *Console) addPasskey(w http.ResponseWriter, r *request) error {
	key, err := c.register(r, forAdd, r.Operator)
	if err != nil {
		return err
	}
	err = c.act(r, deed{Action: deedAdded, Subject: r.Operator.ID}, func(ctx context.Context) error {
		return c.cfg.Desk.AddPasskey(ctx, key, c.now())
	})
	switch {
	case errors.Is(err, desk.ErrExists):
		return errTaken
	case err != nil:
		return err
	}
	c.notify(r, "staff.passkey.added")
	if err := c.save(w, r); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]string{"to": Base + "/account"})
}

// removePasskey removes one of one's own. All sessions end but this one.
func (c *Console) removePasskey(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	id, err := base64.RawURLEncoding.DecodeString(f.Get("id"))
	if err != nil {
		return errNotFound
	}
	err = c.act(r, deed{Action: deedRemoved, Subject: r.Operator.ID}, func(ctx context.Context) error {
		return c.cfg.Desk.RemovePasskey(ctx, r.Operator.ID, id)
	})
	if errors.Is(err, desk.ErrNone) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	op, err := c.cfg.Desk.Operator(r.Context(), r.Operator.ID)
	if err != nil {
		return away("people", err)
	}
	c.sessions.Put(r.Context(), keyEpoch, op.Epoch)
	return c.seeOther(w, r, "/account", "staff.passkey.removed")
}
