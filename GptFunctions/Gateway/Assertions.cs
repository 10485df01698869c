using GptFunctions.Identity;
using GptFunctions.Sessions;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.Gateway;

/// <summary>
/// What the upstream can check for itself with our key set: who calls, for a minute. The headers beside it say the same, but anybody inside
/// the network could send those. Its type keeps it from passing for an access token.
/// </summary>
internal sealed class Assertions(SigningKeys keys, IOptions<TokenSettings> settings, TimeProvider clock)
{
    private const int Lifetime = 60;
    private static readonly TimeSpan Reuse = TimeSpan.FromSeconds(20);
    private readonly JwtWriter writer = new(keys, "gpt-assertion+jwt");

    /// <summary>A new one, or for the same caller, user and upstream one of the last 20 seconds: signing is the dearest thing a call does.</summary>
    public string For(Caller caller, InternalUser user, string audience)
    {
        var now = clock.GetUtcNow();
        if (caller.LastAssertion is { } last && ReferenceEquals(last.User, user) && last.Audience == audience && now - last.IssuedAt < Reuse)
        {
            return last.Text;
        }

        var issued = new IssuedAssertion(Issue(caller, user, audience, now), user, audience, now);
        caller.LastAssertion = issued;
        return issued.Text;
    }

    private string Issue(Caller caller, InternalUser user, string audience, DateTimeOffset now) => writer.Write(json =>
    {
        json.WriteString("iss"u8, settings.Value.PublicBaseUrl);
        json.WriteString("sub"u8, caller.Subject);
        json.WriteString("aud"u8, audience);
        json.WriteString("internal_id"u8, user.Id);
        ReadOnlySpan<(string, string?)> known =
            [("client_id", caller.ClientId), ("scope", caller.Scope), ("plan", user.Plan), ("plan_status", user.PlanStatus)];
        foreach (var (name, value) in known)
        {
            if (value is not null)
            {
                json.WriteString(name, value);
            }
        }

        json.WriteNumber("iat"u8, now.ToUnixTimeSeconds());
        json.WriteNumber("exp"u8, now.ToUnixTimeSeconds() + Lifetime);
        json.WriteString("jti"u8, Guid.CreateVersion7(now));
    });
}
