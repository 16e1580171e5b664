package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"vigie/auth"
	"vigie/event"
	"vigie/store"
)

func TestAccounts(t *testing.T) {
	h := newHouse(t)
	admin := h.admin()

	a, err := admin.Add(t.Context(), NewAccount{Address: "alice@Example.com", Password: "secret", Delegates: []string{"bob@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if a.Address != "alice@example.com" || a.Username != "alice" || a.Realm != "example.com" || a.Password != "" {
		t.Errorf("added %+v", a)
	}
	stored, err := h.directory.Account(t.Context(), "sip:alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := stored.Digests["SHA-256"], auth.HashPassword("alice", "example.com", "secret")["SHA-256"]; got != want {
		t.Errorf("the stored digest is %q, want %q", got, want)
	}

	_, err = admin.Add(t.Context(), NewAccount{Address: "alice@example.com"})
	h.refused(err, 409, "account-exists")
	_, err = admin.Add(t.Context(), NewAccount{Address: "erin@example.com", Username: "alice"})
	h.refused(err, 409, "username-taken")
	_, err = admin.Add(t.Context(), NewAccount{Address: "alice"})
	h.refused(err, 400, "bad-address")
	_, err = admin.Add(t.Context(), NewAccount{Address: "alice@example.org"})
	h.refused(err, 400, "foreign-domain")
	_, err = admin.Add(t.Context(), NewAccount{Address: "bob@example.com", Password: "a\nb"})
	h.refused(err, 400, "bad-password")

	chosen, err := admin.Add(t.Context(), NewAccount{Address: "bob@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	if len(chosen.Password) < 20 {
		t.Errorf("the chosen password is %q", chosen.Password)
	}
	list, err := admin.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Password != "" || list[1].Password != "" {
		t.Errorf("listed %+v", list)
	}
	if list, err = admin.List(t.Context(), "example.net"); err != nil || len(list) != 1 || list[0].Address != "bob@example.net" {
		t.Errorf("in example.net %+v, %v", list, err)
	}

	empty := ""
	changed, err := admin.Change(t.Context(), "alice@example.com", AccountChange{Password: &empty})
	if err != nil {
		t.Fatal(err)
	}
	stored, _ = h.directory.Account(t.Context(), "sip:alice@example.com")
	if got, want := stored.Digests["MD5"], auth.HashPassword("alice", "example.com", changed.Password)["MD5"]; got != want {
		t.Error("the password that the server chose is not the stored one")
	}
	if len(stored.Delegates) != 1 {
		t.Error("a change of the password changed the delegates")
	}
	if err := admin.Remove(t.Context(), "alice@example.com"); err != nil {
		t.Fatal(err)
	}
	h.refused(admin.Remove(t.Context(), "alice@example.com"), 404, "no-account")
	_, err = admin.Change(t.Context(), "alice@example.com", AccountChange{})
	h.refused(err, 404, "no-account")
}

func TestOnlyAdministratorsAdminister(t *testing.T) {
	h := newHouse(t)
	alice := h.user("alice@example.com")
	h.user("bob@example.com")
	_, err := alice.List(t.Context(), "")
	h.refused(err, 403, "not-admin")
	_, err = alice.Add(t.Context(), NewAccount{Address: "carol@example.com"})
	h.refused(err, 403, "not-admin")
	h.refused(alice.Remove(t.Context(), "alice@example.com"), 403, "not-admin")
	_, err = alice.Status(t.Context())
	h.refused(err, 403, "not-admin")
	yes, secret := true, "another"
	_, err = alice.Change(t.Context(), "alice@example.com", AccountChange{Admin: &yes})
	h.refused(err, 403, "not-admin")
	_, err = alice.Change(t.Context(), "bob@example.com", AccountChange{Password: &secret})
	h.refused(err, 403, "not-yours")
	_, err = alice.NewToken(t.Context(), "bob@example.com", NewToken{Name: "x"})
	h.refused(err, 403, "not-yours")
	_, err = alice.NewToken(t.Context(), "alice@example.com", NewToken{Name: "x", Admin: true})
	h.refused(err, 403, "not-admin")
	if _, err := alice.Change(t.Context(), "alice@example.com", AccountChange{Password: &secret}); err != nil {
		t.Errorf("one's own password: %v", err)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"} {
		if status, _, _ := h.get(path, "Bearer "+alice.Token); status != 403 {
			t.Errorf("%s is %d for alice, want 403", path, status)
		}
		if status, _, _ := h.get(path, ""); status != 401 {
			t.Errorf("%s is %d for strangers, want 401", path, status)
		}
		if status, _, _ := h.get(path, "Bearer "+localToken); status != 200 {
			t.Errorf("%s is %d for administrators, want 200", path, status)
		}
	}
}

func TestTokens(t *testing.T) {
	h := newHouse(t)
	alice := h.user("alice@example.com")
	if _, err := alice.Presence(t.Context(), "alice@example.com"); err != nil {
		t.Fatal(err)
	}
	_, err := h.admin().NewToken(t.Context(), "alice@example.com", NewToken{Name: "test"})
	h.refused(err, 409, "token-exists")
	_, err = h.admin().NewToken(t.Context(), "alice@example.com", NewToken{Name: "root", Admin: true})
	h.refused(err, 400, "bad-token")

	status, body, _ := h.get("/api/v1/accounts/alice@example.com/tokens", "Bearer "+alice.Token)
	if status != 200 || strings.Contains(body, alice.Token) || !strings.Contains(body, `"name":"test"`) {
		t.Errorf("tokens: %d %s", status, body)
	}
	if strings.Contains(h.log.String(), alice.Token) {
		t.Error("the token stands in the log")
	}
	if status, _, _ := h.request("DELETE", "/api/v1/accounts/alice@example.com/tokens/test", "Bearer "+alice.Token, "", ""); status != 204 {
		t.Fatalf("removing the token: %d", status)
	}
	_, err = alice.Presence(t.Context(), "alice@example.com")
	h.refused(err, 401, "unknown-token")

	secret, hash := auth.NewToken()
	expired := store.Token{Name: "old", Hash: hash, AOR: "sip:alice@example.com", Expires: time.Now().Add(-time.Second)}
	if err := h.directory.PutToken(t.Context(), expired); err != nil {
		t.Fatal(err)
	}
	_, err = (&Client{Server: h.url, Token: secret, HTTP: h.client}).Presence(t.Context(), "alice@example.com")
	h.refused(err, 401, "unknown-token")
}

func TestAdministratorLosesTokensRights(t *testing.T) {
	h := newHouse(t)
	if _, err := h.admin().Add(t.Context(), NewAccount{Address: "alice@example.com", Admin: true}); err != nil {
		t.Fatal(err)
	}
	token, err := h.admin().NewToken(t.Context(), "alice@example.com", NewToken{Name: "root", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	alice := &Client{Server: h.url, Token: token.Secret, HTTP: h.client}
	if _, err := alice.List(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	no := false
	if _, err := h.admin().Change(t.Context(), "alice@example.com", AccountChange{Admin: &no}); err != nil {
		t.Fatal(err)
	}
	_, err = alice.List(t.Context(), "")
	h.refused(err, 403, "not-admin")
}

func TestDigest(t *testing.T) {
	h := newHouse(t)
	h.user("alice@example.com")
	login := func(password string) int {
		client := &http.Client{Transport: &digest.Transport{Username: "alice", Password: password, Transport: h.client.Transport}}
		request, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/api/v1/accounts/alice@example.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "example.com"
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	if got := login("secret"); got != 200 {
		t.Errorf("with the password: %d, want 200", got)
	}
	if got := login("wrong"); got != 401 {
		t.Errorf("with a wrong password: %d, want 401", got)
	}
	_, _, header := h.get("/api/v1/status", "")
	challenges := strings.Join(header.Values("WWW-Authenticate"), "\n")
	if !strings.Contains(challenges, "Bearer") || !strings.Contains(challenges, `Digest realm="example.com"`) {
		t.Errorf("challenges: %s", challenges)
	}
	if status, body, _ := h.get("/api/v1/status", "Digest username=alice"); status == 200 || strings.Contains(body, "panic") {
		t.Errorf("a broken digest answer: %d %s", status, body)
	}
	if status, _, _ := h.get("/api/v1/status", "Basic YWxpY2U6c2VjcmV0"); status != 401 {
		t.Errorf("Basic: %d, want 401", status)
	}
}

func TestPublishAndFetch(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.user("alice@example.com"), h.user("bob@example.com")
	published, err := alice.Publish(t.Context(), "alice@example.com", "desk", NewPresence{State: "open", Activity: "meeting", Note: "back <soon> & well", Expires: Duration(10 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	if time.Duration(published.Expires) != 10*time.Minute || published.ETag == "" {
		t.Errorf("published %+v", published)
	}
	p, err := bob.Presence(t.Context(), "alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if p.State != "open" || fmt.Sprint(p.Activities) != "[meeting]" || fmt.Sprint(p.Notes) != "[back <soon> & well]" || p.Updated == nil {
		t.Errorf("bob sees %+v", p)
	}
	if _, err := alice.Publish(t.Context(), "alice@example.com", "desk", NewPresence{State: "closed"}); err != nil {
		t.Fatal(err)
	}
	if n := h.publications(); n != 1 {
		t.Errorf("publishing again under the name left %d publications, want 1", n)
	}
	h.restart()
	if _, err := alice.Publish(t.Context(), "alice@example.com", "desk", NewPresence{State: "open"}); err != nil {
		t.Fatal(err)
	}
	if n := h.publications(); n != 1 {
		t.Errorf("publishing again after a restart left %d publications, want 1", n)
	}
	if _, err := alice.Publish(t.Context(), "alice@example.com", "car", NewPresence{State: "open"}); err != nil {
		t.Fatal(err)
	}
	if n := h.publications(); n != 2 {
		t.Errorf("two names are %d publications, want 2", n)
	}
	for _, name := range []string{"desk", "car"} {
		if err := alice.Unpublish(t.Context(), "alice@example.com", name); err != nil {
			t.Error(err)
		}
	}
	if n := h.publications(); n != 0 {
		t.Errorf("%d publications are left", n)
	}
	h.refused(alice.Unpublish(t.Context(), "alice@example.com", "desk"), 404, "no-publication")
}

// restart makes the API new, at the same address; engine and stores stay.
func (h *house) restart() {
	h.client.CloseIdleConnections()
	if err := h.server.Close(h.Context()); err != nil {
		h.Fatal(err)
	}
	h.serve(strings.TrimPrefix(h.url, "http://"))
}

func (h *house) publications() (n int) {
	h.engine.Resources(func(_ event.Resource, publications, _ int) { n += publications })
	return n
}

func TestWhoMayPublish(t *testing.T) {
	h := newHouse(t)
	h.user("alice@example.com")
	bob := h.user("bob@example.com")
	_, err := bob.Publish(t.Context(), "alice@example.com", "x", NewPresence{State: "open"})
	h.refused(err, 403, "not-yours")
	delegates := []string{"bob@example.com"}
	if _, err := h.admin().Change(t.Context(), "alice@example.com", AccountChange{Delegates: &delegates}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Publish(t.Context(), "alice@example.com", "x", NewPresence{State: "open"}); err != nil {
		t.Errorf("a delegate: %v", err)
	}
	if _, err := h.admin().Publish(t.Context(), "alice@example.com", "x", NewPresence{State: "open"}); err != nil {
		t.Errorf("an administrator: %v", err)
	}
	_, err = h.admin().Publish(t.Context(), "nobody@example.com", "x", NewPresence{State: "open"})
	h.refused(err, 404, "no-presentity")
}

func TestBadPublications(t *testing.T) {
	h := newHouse(t)
	admin := h.admin()
	for _, test := range []struct {
		n    NewPresence
		code string
	}{
		{NewPresence{State: "maybe"}, "bad-state"},
		{NewPresence{State: "open", Activity: "juggling"}, "bad-activity"},
		{NewPresence{State: "open", Note: strings.Repeat("x", 2000)}, "bad-note"},
		{NewPresence{State: "open", Expires: Duration(time.Second)}, "lifetime-too-short"},
	} {
		_, err := admin.Publish(t.Context(), "alice@example.com", "x", test.n)
		h.refused(err, 400, test.code)
	}
	path, bearer := "/api/v1/presence/alice@example.com", "Bearer "+localToken
	for _, test := range []struct {
		contentType, body string
		status            int
		code              string
	}{
		{"application/json", `{"state":"open","colour":"red"}`, 400, "bad-json"},
		{"application/json", `{"state":`, 400, "bad-json"},
		{"application/json", `{"state":"open"} {}`, 400, "bad-json"},
		{"application/json", `{"state":"open","expires":"soon"}`, 400, "bad-duration"},
		{"application/json", `{"note":"` + strings.Repeat("x", 100<<10) + `"}`, 413, "too-large"},
		{"application/pidf+xml", strings.Repeat("x", 100<<10), 413, "too-large"},
		{"application/pidf+xml", "<presence", 400, "malformed-document"},
		{"text/plain", "open", 415, "unsupported-type"},
	} {
		status, body, _ := h.request("PUT", path, bearer, test.contentType, test.body)
		if status != test.status || !strings.Contains(body, `"error":"`+test.code+`"`) {
			t.Errorf("%s %.40s: %d %s, want %d %s", test.contentType, test.body, status, body, test.status, test.code)
		}
	}
	if n := h.publications(); n != 0 {
		t.Errorf("bad publications left %d", n)
	}
	if status, body, _ := h.request("PUT", path+"?name=a%20b", bearer, "application/json", `{"state":"open"}`); status != 400 || !strings.Contains(body, "bad-name") {
		t.Errorf("a bad name: %d %s", status, body)
	}
}

func TestWholeDocument(t *testing.T) {
	h := newHouse(t)
	path, bearer := "/api/v1/presence/alice@example.com", "Bearer "+localToken
	document := `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="a"><status><basic>open</basic></status></tuple></presence>`
	status, body, header := h.request("PUT", path+"?expires=2m", bearer, "application/pidf+xml", document)
	if status != 200 || !strings.Contains(body, `"expires":120`) || header.Get("ETag") == "" {
		t.Fatalf("%d %s", status, body)
	}
	request := httptest.NewRequest("GET", path, nil)
	request.Header.Set("Authorization", bearer)
	request.Header.Set("Accept", "application/pidf+xml")
	answer := httptest.NewRecorder()
	h.server.Handler().ServeHTTP(answer, request)
	if answer.Code != 200 || answer.Body.String() != document || answer.Header().Get("Content-Type") != pidfType {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
}

func TestWatchersRights(t *testing.T) {
	h := newHouse(t)
	carol, dave := h.user("carol@example.com"), h.user("dave@example.com")
	_, err := carol.Presence(t.Context(), "alice@example.com")
	h.refused(err, 403, "rejected")
	p, err := dave.Presence(t.Context(), "alice@example.com")
	if err != nil || p.Subscription != "pending" || len(p.Services) != 0 {
		t.Errorf("dave, who waits, sees %+v, %v", p, err)
	}
	_, err = carol.Watch(t.Context(), "alice@example.com", func(Presence) error { return nil })
	h.refused(err, 403, "rejected")
}

func TestWatch(t *testing.T) {
	h := newHouse(t)
	bob := h.user("bob@example.com")
	changes := make(chan Presence)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := bob.Watch(ctx, "alice@example.com", func(p Presence) error { changes <- p; return nil })
		ended <- err
	}()
	if p := <-changes; p.State != "closed" || p.Subscription != "active" {
		t.Errorf("first bob sees %+v", p)
	}
	if _, err := h.admin().Publish(t.Context(), "alice@example.com", "x", NewPresence{State: "open", Activity: "away"}); err != nil {
		t.Fatal(err)
	}
	if p := <-changes; p.State != "open" || fmt.Sprint(p.Activities) != "[away]" {
		t.Errorf("then bob sees %+v", p)
	}
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("leaving gives %v", err)
	}
	for h.subscriptions() != 0 {
		runtime.Gosched() // the server learns of it when its connection ends
	}
}

func (h *house) subscriptions() (n int) {
	h.engine.Resources(func(_ event.Resource, _, subscriptions int) { n += subscriptions })
	return n
}

func TestStoppingEndsEventStreams(t *testing.T) {
	h := newHouse(t)
	first := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		_, err := h.admin().Watch(t.Context(), "alice@example.com", func(Presence) error { first <- struct{}{}; return nil })
		ended <- err
	}()
	<-first
	if err := h.server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrUnreachable) {
		t.Errorf("the watcher got %v, want that the server is gone", err)
	}
}

func TestHealth(t *testing.T) {
	h := newHouse(t)
	if status, _, _ := h.get("/healthz", ""); status != 200 {
		t.Errorf("/healthz is %d", status)
	}
	if status, _, _ := h.get("/readyz", ""); status != 200 {
		t.Errorf("/readyz is %d", status)
	}
	h.unready = errors.New("starting")
	if status, body, _ := h.get("/readyz", ""); status != 503 || body != "starting\n" {
		t.Errorf("/readyz is %d %q while starting", status, body)
	}
	if status, _, _ := h.get("/healthz", ""); status != 200 {
		t.Errorf("/healthz is %d while starting", status)
	}
	_, err := h.admin().Presence(t.Context(), "alice@example.com")
	h.refused(err, 503, "not-ready")
	h.unready = nil
	status, body, _ := h.get("/metrics", "")
	if status != 200 || !strings.Contains(body, `vigie_subscriptions{package="presence",state="active"} 0`) {
		t.Errorf("/metrics is %d\n%s", status, body)
	}
	s, err := h.admin().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Counters[`vigie_subscriptions{package="presence",state="active"}`]; !ok || s.State != "ready" || s.Version != "test" {
		t.Errorf("status %+v", s)
	}
}

func TestStoreFailureIsLoggedAndNotTold(t *testing.T) {
	h := newHouse(t)
	h.soft.Fail(func(store.Op, string) error { return errors.New("disk /dev/secret is full") })
	_, err := h.admin().Publish(t.Context(), "alice@example.com", "x", NewPresence{State: "open"})
	h.refused(err, 500, "failure")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the cause is told: %v", err)
	}
	if !strings.Contains(h.log.String(), "disk /dev/secret is full") {
		t.Errorf("the cause is not in the log:\n%s", h.log)
	}
}

func TestUnknownPaths(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/", "/api/v1/nothing", "/api/v2/status"} {
		status, body, header := h.get(path, "")
		var p Problem
		if err := json.Unmarshal([]byte(body), &p); status != 404 || err != nil || p.Hint == "" || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s is %d %s", path, status, body)
		}
	}
}

func TestAddressesArePrintable(t *testing.T) {
	for _, bad := range []string{"", "alice", "@example.com", "alice@", "sip:alice", "tel:+33123", "alice@example.com?x=y", "alice@exam ple.com"} {
		if aor, err := ParseAddress(bad); err == nil {
			t.Errorf("%q reads as %s", bad, aor)
		}
	}
	for _, good := range []string{"alice@example.com", "sip:alice@EXAMPLE.com", "sips:alice@example.com;transport=tcp", "sip:alice@example.com:5070"} {
		aor, err := ParseAddress(good)
		if err != nil || aor.String() != "sip:alice@example.com" {
			t.Errorf("%q reads as %s, %v", good, aor, err)
		}
	}
}
