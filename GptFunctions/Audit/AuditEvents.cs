namespace GptFunctions.Audit;

/// <summary>
/// The types of audit events; each is the routing key of its message as well. Those that only one webhook source writes stand in its class.
/// </summary>
internal static class AuditEvents
{
    public const string Authorize = "gpt.oauth.authorize";
    public const string AuthorizeDenied = "gpt.oauth.authorize_denied";
    public const string TokenExchanged = "gpt.oauth.token_exchanged";
    public const string TokenRefreshed = "gpt.oauth.token_refreshed";
    public const string TokenRepeated = "gpt.oauth.token_repeated";
    public const string ReplayDetected = "gpt.oauth.replay_detected";
    public const string CodeReplayDetected = "gpt.oauth.code_replay_detected";
    public const string SessionRevoked = "gpt.oauth.session_revoked";
    public const string AllSessionsRevoked = "gpt.oauth.all_sessions_revoked";
    public const string ClientAuthFailed = "gpt.oauth.client_auth_failed";
    public const string ClientAuthLimited = "gpt.oauth.client_auth_limited";
    public const string ClientRegistered = "gpt.oauth.client_registered";
    public const string SignedIn = "gpt.oauth.signed_in";
    public const string ClientAdded = "gpt.operator.client_added";
    public const string ClientUpdated = "gpt.operator.client_updated";
    public const string ClientDisabled = "gpt.operator.client_disabled";
    public const string ClientSecretAdded = "gpt.operator.client_secret_added";
    public const string ClientSecretRetired = "gpt.operator.client_secret_retired";
    public const string UserUpdated = "gpt.webhook.user_updated";
    public const string UserDeleted = "gpt.webhook.user_deleted";
}
