using System.Runtime.CompilerServices;
using GptFunctions.Data;

namespace GptFunctions.OAuth;

/// <summary>
/// A statement that acts for a client, in its two forms: for clients with a secret or none, and for those that sign. The client is authenticated
/// inside the statement that acts: one round trip, and no moment between check and use. An assertion is used up there, too.
/// </summary>
/// <param name="text">Made of these parts.</param>
/// <param name="constant">As for <see cref="Sql"/>: both forms are one statement in traces.</param>
/// <param name="file">Where it stands.</param>
internal sealed class ClientSql(
    Func<ClientSql.Parts, string> text, [CallerMemberName] string constant = "", [CallerFilePath] string file = "")
{
    private readonly Sql plain = new(text(Parts.Plain), constant, file);
    private readonly Sql signed = new(text(Parts.Signed), constant, file);

    public Sql For(ClientCredentials client) => client.Assertion is null ? plain : signed;

    /// <param name="Authenticated">Parts of a WITH, the last of them called client: the row of the client when its credentials are right.</param>
    /// <param name="UsesUp">The same for a statement that only reads: a WITH, or nothing.</param>
    /// <param name="Standing">
    /// The columns of <see cref="ClientStanding"/>, with a LEFT JOIN of gpt_clients as client, in a statement that has one of the former.
    /// </param>
    /// <param name="StandingLater">And in one that comes after it, to find out why nothing happened.</param>
    internal sealed record Parts(string Authenticated, string UsesUp, string Standing, string StandingLater)
    {
        public static readonly Parts Plain = new(
            """
            client AS (
                SELECT client_id, scopes
                FROM gpt_clients
                WHERE client_id = @client_id AND disabled_at IS NULL
                  AND @method = ANY (auth_methods) AND (@method = 'none' OR @secret_hash = ANY (secret_hashes))
            )
            """,
            "", StandingWith("coalesce(@secret_hash = ANY (client.secret_hashes), false)"),
            StandingWith("coalesce(@secret_hash = ANY (client.secret_hashes), false)"));

        // Of two that come with the same one, the second waits for the first, and finds it used.
        private const string Assertion = """
            assertion AS (
                INSERT INTO gpt_client_assertions (client_id, jti_hash, use_id, expires_at)
                SELECT client_id, @jti_hash, @use_id, @assertion_expires_at
                FROM gpt_clients
                WHERE client_id = @client_id AND disabled_at IS NULL AND @method = ANY (auth_methods)
                ON CONFLICT (client_id, jti_hash) DO NOTHING
                RETURNING client_id
            )
            """;

        public static readonly Parts Signed = new(
            $"""
            {Assertion}, client AS (
                SELECT gpt_clients.client_id, gpt_clients.scopes
                FROM gpt_clients
                JOIN assertion ON assertion.client_id = gpt_clients.client_id
            )
            """,
            $"WITH {Assertion}", StandingWith("EXISTS (SELECT FROM assertion)"),
            StandingWith("""
                EXISTS (SELECT FROM gpt_client_assertions used
                               WHERE used.client_id = @client_id AND used.jti_hash = @jti_hash AND used.use_id = @use_id)
                """));

        private static string StandingWith(string proof) => $"""
            client.disabled_at IS NULL AND client.client_id IS NOT NULL,
                   coalesce(client.auth_methods, ARRAY[]::text[]),
                   coalesce(@method = ANY (client.auth_methods), false),
                   {proof}
            """;
    }
}
