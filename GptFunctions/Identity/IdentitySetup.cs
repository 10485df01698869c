using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Identity;

internal static class IdentitySetup
{
    /// <summary>Who is the person: sign-in at Clerk, Clerk session JWTs, users.</summary>
    public static void AddIdentity(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<ClerkSettings>();
        builder.AddSettings<SignInSettings>();
        var services = builder.Services;
        services.AddSingleton<UserStore>().AddSingleton<InternalUsers>().AddSingleton<ClerkSessions>();
        services.AddSingleton<OpenIdProvider>().AddSingleton<ISignIn, OpenIdSignIn>();
        services.AddSingleton<PageSessionStore>().AddSingleton<PageSessions>();
        services.AddSingleton<ICheck, ClerkCheck>();
    }
}
