package sip

// Header is one row of a message: Name as received (canonical in messages made
// here), Value trimmed and unfolded, lists not split.
type Header struct {
	ID    HeaderID
	Name  string
	Value string
}

// HeaderID names a header field this server knows, whatever its spelling:
// long, compact, any case (RFC 3261 §7.3.1, §7.3.3).
type HeaderID uint8

// The known header fields. Those that every message must have come first.
const (
	HeaderUnknown HeaderID = iota
	HeaderVia
	HeaderFrom
	HeaderTo
	HeaderCallID
	HeaderCSeq
	HeaderMaxForwards
	HeaderContentLength
	HeaderContact
	HeaderRoute
	HeaderRecordRoute
	HeaderEvent
	HeaderExpires
	HeaderMinExpires
	HeaderAccept
	HeaderAcceptEncoding
	HeaderAcceptLanguage
	HeaderAllow
	HeaderAllowEvents
	HeaderSupported
	HeaderRequire
	HeaderProxyRequire
	HeaderUnsupported
	HeaderSubscriptionState
	HeaderSIPETag
	HeaderSIPIfMatch
	HeaderSuppressIfMatch
	HeaderContentType
	HeaderContentEncoding
	HeaderContentDisposition
	HeaderContentLanguage
	HeaderContentID
	HeaderContentTransferEncoding
	HeaderMIMEVersion
	HeaderWWWAuthenticate
	HeaderAuthorization
	HeaderProxyAuthenticate
	HeaderProxyAuthorization
	HeaderAuthenticationInfo
	HeaderPAssertedIdentity
	HeaderPPreferredIdentity
	HeaderPrivacy
	HeaderRetryAfter
	HeaderUserAgent
	HeaderServer
	HeaderDate
	HeaderWarning
	HeaderPath
	HeaderServiceRoute
	HeaderFlowTimer
	HeaderReason
	HeaderTimestamp
	HeaderSubject
	HeaderOrganization
	HeaderPriority
	HeaderInReplyTo
	HeaderReplyTo
	HeaderCallInfo
	HeaderAlertInfo
	HeaderErrorInfo
	HeaderReferTo
	HeaderReferredBy
	HeaderReferSub
	HeaderReplaces
	HeaderJoin
	HeaderRAck
	HeaderRSeq
	HeaderSessionExpires
	HeaderMinSE
	HeaderHistoryInfo
	HeaderDiversion
	HeaderIdentity
	HeaderIdentityInfo
	HeaderAcceptContact
	HeaderRejectContact
	HeaderRequestDisposition
	headerCount
)
