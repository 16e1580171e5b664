package api

import (
	"net/http"

	"vigie/sip"
)

func (s *Server) listAccounts(w http.ResponseWriter, r *http.Request, _ caller) error {
	list, err := s.accounts.List(r.Context(), r.URL.Query().Get("domain"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) addAccount(w http.ResponseWriter, r *http.Request, _ caller) error {
	var n NewAccount
	if err := s.read(w, r, &n); err != nil {
		return err
	}
	a, err := s.accounts.Add(r.Context(), n)
	if err != nil {
		return err
	}
	s.Changed()
	s.log.Info("account added", "account", a.Address, "admin", a.Admin)
	answer(w, http.StatusCreated, a)
	return nil
}

func (s *Server) getAccount(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, err := own(r, c)
	if err != nil {
		return err
	}
	a, err := s.accounts.Get(r.Context(), aor.String())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, a)
	return nil
}

func (s *Server) changeAccount(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, err := own(r, c)
	if err != nil {
		return err
	}
	var change AccountChange
	if err := s.read(w, r, &change); err != nil {
		return err
	}
	if change.Admin != nil && !c.admin {
		return &Problem{Status: 403, Code: "not-admin", Detail: "only administrators may make administrators"}
	}
	a, err := s.accounts.Change(r.Context(), aor.String(), change)
	if err != nil {
		return err
	}
	s.Changed()
	s.log.Info("account changed", "account", a.Address, "password", change.Password != nil, "admin", a.Admin)
	answer(w, http.StatusOK, a)
	return nil
}

func (s *Server) removeAccount(w http.ResponseWriter, r *http.Request, _ caller) error {
	address := r.PathValue("address")
	if err := s.accounts.Remove(r.Context(), address); err != nil {
		return err
	}
	s.Changed()
	s.log.Info("account removed", "account", address)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listTokens(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, err := own(r, c)
	if err != nil {
		return err
	}
	list, err := s.accounts.Tokens(r.Context(), aor.String())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) addToken(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, err := own(r, c)
	if err != nil {
		return err
	}
	var n NewToken
	if err := s.read(w, r, &n); err != nil {
		return err
	}
	if n.Admin && !c.admin {
		return &Problem{Status: 403, Code: "not-admin", Detail: "only administrators may make administrators' tokens"}
	}
	t, err := s.accounts.NewToken(r.Context(), aor.String(), n)
	if err != nil {
		return err
	}
	s.log.Info("token made", "account", t.Address, "token", t.Name, "admin", t.Admin)
	answer(w, http.StatusCreated, t)
	return nil
}

func (s *Server) removeToken(w http.ResponseWriter, r *http.Request, c caller) error {
	aor, err := own(r, c)
	if err != nil {
		return err
	}
	if err := s.accounts.RemoveToken(r.Context(), aor.String(), r.PathValue("name")); err != nil {
		return err
	}
	s.log.Info("token removed", "account", bare(aor.String()), "token", r.PathValue("name"))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// own reads the address in the path, which must be the caller's own unless the
// caller is an administrator. Whether others exist is none of the caller's
// business.
func own(r *http.Request, c caller) (sip.URI, error) {
	aor, err := ParseAddress(r.PathValue("address"))
	if err != nil {
		return sip.URI{}, err
	}
	if !c.owns(aor) {
		return sip.URI{}, &Problem{Status: 403, Code: "not-yours", Detail: "this belongs to somebody else", Hint: "ask an administrator"}
	}
	return aor, nil
}
