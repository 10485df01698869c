using GptFunctions.Identity;

namespace GptFunctions.Development;

/// <summary>Sign-in for Development: the person types who they are. Registered only in Development and only without CLERK_ISSUER.</summary>
internal sealed class DevelopmentSignIn : ISignIn
{
    public Task<string> StartAsync(Guid requestId, string state, BrowserBinding browser, SignInWish wish) =>
        Task.FromResult($"/dev/sign-in?request={state}");

    public Task<(Person? Person, SignInFailure? Failure)> FinishAsync(Guid requestId, BrowserBinding browser, string? code, string? error) =>
        Task.FromResult<(Person?, SignInFailure?)>((null, new SignInFailure("This server signs people in at /dev/sign-in.", false)));

    public Task<string?> FindSignOutAsync(string? idToken, string returnUrl) => Task.FromResult<string?>(null);
}
