package sip

// headerNames holds the canonical long names by HeaderID.
var headerNames = [headerCount]string{
	HeaderVia:                     "Via",
	HeaderFrom:                    "From",
	HeaderTo:                      "To",
	HeaderCallID:                  "Call-ID",
	HeaderCSeq:                    "CSeq",
	HeaderMaxForwards:             "Max-Forwards",
	HeaderContentLength:           "Content-Length",
	HeaderContact:                 "Contact",
	HeaderRoute:                   "Route",
	HeaderRecordRoute:             "Record-Route",
	HeaderEvent:                   "Event",
	HeaderExpires:                 "Expires",
	HeaderMinExpires:              "Min-Expires",
	HeaderAccept:                  "Accept",
	HeaderAcceptEncoding:          "Accept-Encoding",
	HeaderAcceptLanguage:          "Accept-Language",
	HeaderAllow:                   "Allow",
	HeaderAllowEvents:             "Allow-Events",
	HeaderSupported:               "Supported",
	HeaderRequire:                 "Require",
	HeaderProxyRequire:            "Proxy-Require",
	HeaderUnsupported:             "Unsupported",
	HeaderSubscriptionState:       "Subscription-State",
	HeaderSIPETag:                 "SIP-ETag",
	HeaderSIPIfMatch:              "SIP-If-Match",
	HeaderSuppressIfMatch:         "Suppress-If-Match",
	HeaderContentType:             "Content-Type",
	HeaderContentEncoding:         "Content-Encoding",
	HeaderContentDisposition:      "Content-Disposition",
	HeaderContentLanguage:         "Content-Language",
	HeaderContentID:               "Content-ID",
	HeaderContentTransferEncoding: "Content-Transfer-Encoding",
	HeaderMIMEVersion:             "MIME-Version",
	HeaderWWWAuthenticate:         "WWW-Authenticate",
	HeaderAuthorization:           "Authorization",
	HeaderProxyAuthenticate:       "Proxy-Authenticate",
	HeaderProxyAuthorization:      "Proxy-Authorization",
	HeaderAuthenticationInfo:      "Authentication-Info",
	HeaderPAssertedIdentity:       "P-Asserted-Identity",
	HeaderPPreferredIdentity:      "P-Preferred-Identity",
	HeaderPrivacy:                 "Privacy",
	HeaderRetryAfter:              "Retry-After",
	HeaderUserAgent:               "User-Agent",
	HeaderServer:                  "Server",
	HeaderDate:                    "Date",
	HeaderWarning:                 "Warning",
	HeaderPath:                    "Path",
	HeaderServiceRoute:            "Service-Route",
	HeaderFlowTimer:               "Flow-Timer",
	HeaderReason:                  "Reason",
	HeaderTimestamp:               "Timestamp",
	HeaderSubject:                 "Subject",
	HeaderOrganization:            "Organization",
	HeaderPriority:                "Priority",
	HeaderInReplyTo:               "In-Reply-To",
	HeaderReplyTo:                 "Reply-To",
	HeaderCallInfo:                "Call-Info",
	HeaderAlertInfo:               "Alert-Info",
	HeaderErrorInfo:               "Error-Info",
	HeaderReferTo:                 "Refer-To",
	HeaderReferredBy:              "Referred-By",
	HeaderReferSub:                "Refer-Sub",
	HeaderReplaces:                "Replaces",
	HeaderJoin:                    "Join",
	HeaderRAck:                    "RAck",
	HeaderRSeq:                    "RSeq",
	HeaderSessionExpires:          "Session-Expires",
	HeaderMinSE:                   "Min-SE",
	HeaderHistoryInfo:             "History-Info",
	HeaderDiversion:               "Diversion",
	HeaderIdentity:                "Identity",
	HeaderIdentityInfo:            "Identity-Info",
	HeaderAcceptContact:           "Accept-Contact",
	HeaderRejectContact:           "Reject-Contact",
	HeaderRequestDisposition:      "Request-Disposition",
}

// compactNames holds the one-letter forms, by letter: those of RFC 3261
// §7.3.3, RFC 6665 §8.2.1 and the extensions registered since.
var compactNames = [26]HeaderID{
	0:         HeaderAcceptContact, // a
	'b' - 'a': HeaderReferredBy,
	'c' - 'a': HeaderContentType,
	'd' - 'a': HeaderRequestDisposition,
	'e' - 'a': HeaderContentEncoding,
	'f' - 'a': HeaderFrom,
	'i' - 'a': HeaderCallID,
	'j' - 'a': HeaderRejectContact,
	'k' - 'a': HeaderSupported,
	'l' - 'a': HeaderContentLength,
	'm' - 'a': HeaderContact,
	'n' - 'a': HeaderIdentityInfo,
	'o' - 'a': HeaderEvent,
	'r' - 'a': HeaderReferTo,
	's' - 'a': HeaderSubject,
	't' - 'a': HeaderTo,
	'u' - 'a': HeaderAllowEvents,
	'v' - 'a': HeaderVia,
	'x' - 'a': HeaderSessionExpires,
	'y' - 'a': HeaderIdentity,
}

// headerTable finds a long name: an open hash table on its length and three of
// its letters, in which a neighbour holds what collides.
var headerTable = makeHeaderTable()

const headerSlots = 512

func makeHeaderTable() (table [headerSlots]HeaderID) {
	for id := HeaderUnknown + 1; id < headerCount; id++ {
		slot := headerSlot(headerNames[id])
		for table[slot] != HeaderUnknown {
			slot = (slot + 1) % headerSlots
		}
		table[slot] = id
	}
	return table
}

func headerSlot(name string) uint {
	n := uint(len(name))
	first, middle, last := uint(name[0]|0x20), uint(name[n/2]|0x20), uint(name[n-1]|0x20)
	return (n*29 + first*3 + middle*17 + last*67) % headerSlots
}

// String gives the canonical long name.
func (id HeaderID) String() string {
	if id >= headerCount {
		return ""
	}
	return headerNames[id]
}

// HeaderByName knows long and compact names in any case; HeaderUnknown for
// all others.
func HeaderByName(name string) HeaderID {
	if len(name) < 2 {
		if name == "" || lower(name[0]) < 'a' || lower(name[0]) > 'z' {
			return HeaderUnknown
		}
		return compactNames[lower(name[0])-'a']
	}
	for slot := headerSlot(name); ; slot = (slot + 1) % headerSlots {
		id := headerTable[slot]
		if id == HeaderUnknown {
			return HeaderUnknown
		}
		if known := headerNames[id]; known == name || equalFold(known, name) {
			return id
		}
	}
}
