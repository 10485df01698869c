namespace GptFunctions.Audit;

/// <summary>
/// The one way to write audit events: a part of the statement that makes the change they tell of, so that both commit together. The relay
/// brings them to the broker.
/// </summary>
internal static class Outbox
{
    /// <summary>One event for each row of <paramref name="rows"/>. Binds an occasion: @now, @correlation_id, @address, @traceparent.</summary>
    /// <param name="type">Of <see cref="AuditEvents"/>, or a parameter that has it.</param>
    /// <param name="rows">A part of the statement, by its name.</param>
    /// <param name="members">Of the payload, as jsonb_build_object takes them, from the columns of the rows; the address is added.</param>
    public static string Tell(string type, string rows, string members) =>
        Write(type[0] == '@' ? type : $"'{type}'", rows, $"jsonb_build_object({members}, 'ip_address', @address)");

    /// <summary>The same for events that have nothing of an occasion; each argument is an expression on the columns of the rows.</summary>
    public static string Write(
        string type, string rows, string payload, string at = "@now", string correlationId = "@correlation_id", string? id = null,
        string traceParent = "@traceparent") => $"""
        INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
        SELECT told_id, {type}, {at}, event_envelope(told_id, {type}, {at}, {correlationId}, {payload}, {traceParent})
        FROM (SELECT {id ?? $"uuid_v7({at})"} AS told_id, source.* FROM {rows} source OFFSET 0) told
        """;
}

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
    public const string RefreshLimited = "gpt.oauth.refresh_limited";
    public const string ReplayDetected = "gpt.oauth.replay_detected";
    public const string CodeReplayDetected = "gpt.oauth.code_replay_detected";
    public const string SessionRevoked = "gpt.oauth.session_revoked";
    public const string AllSessionsRevoked = "gpt.oauth.all_sessions_revoked";
    public const string ClientAuthFailed = "gpt.oauth.client_auth_failed";
    public const string ClientAuthLimited = "gpt.oauth.client_auth_limited";
    public const string ClientRegistered = "gpt.oauth.client_registered";
    public const string SignedIn = "gpt.oauth.signed_in";
    public const string SignedOut = "gpt.oauth.signed_out";
    public const string ClientAdded = "gpt.operator.client_added";
    public const string ClientUpdated = "gpt.operator.client_updated";
    public const string ClientDisabled = "gpt.operator.client_disabled";
    public const string ClientSecretAdded = "gpt.operator.client_secret_added";
    public const string ClientSecretRetired = "gpt.operator.client_secret_retired";
    public const string SessionEnded = "gpt.operator.session_ended";
    public const string UserSessionsEnded = "gpt.operator.user_sessions_ended";
    public const string SessionsEnded = "gpt.operator.sessions_ended";
    public const string AuditExported = "gpt.operator.audit_exported";
    public const string UserUpdated = "gpt.webhook.user_updated";
    public const string UserDeleted = "gpt.webhook.user_deleted";
}

/// <summary>Wakes this process's relay after a commit, so that an event leaves at once instead of at the next poll.</summary>
internal sealed class OutboxSignal : IDisposable
{
    private readonly SemaphoreSlim waiting = new(0, 1);

    /// <summary>What keeps the relay of this process from delivering; null when nothing does, or when it has none.</summary>
    public string? Obstacle { get; set; }

    public void Raise()
    {
        if (waiting.CurrentCount == 0)
        {
            try
            {
                waiting.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody else raised it in the same moment.
            }
        }
    }

    /// <summary>Returns when raised or after the time.</summary>
    public Task<bool> WaitAsync(TimeSpan limit, CancellationToken cancellationToken) => waiting.WaitAsync(limit, cancellationToken);

    public void Dispose() => waiting.Dispose();
}
