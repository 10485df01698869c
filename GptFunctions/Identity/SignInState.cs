namespace GptFunctions.Identity;

/// <summary>The <c>state</c> of a sign-in: which request it belongs to, and proof that this browser started it.</summary>
internal static class SignInState
{
    private const string Purpose = "state";

    public static string Write(Guid requestId, BrowserBinding browser) => $"{requestId:N}.{browser.Derive(Purpose, requestId)}";

    /// <summary>The request that this state was made for by this browser; null for any other value.</summary>
    public static Guid? Read(string? state, BrowserBinding? browser) =>
        state?.Split('.') is [var id, var proof] && Guid.TryParseExact(id, "N", out var requestId) && browser?.Is(proof, Purpose, requestId) == true ? requestId : null;
}
