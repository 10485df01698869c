using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Sessions;

internal static class SessionsSetup
{
    /// <summary>Connected apps: list and end them; who calls with a token of theirs.</summary>
    public static void AddSessions(this IHostApplicationBuilder builder) =>
        builder.Services.AddSingleton<SessionStore>().AddSingleton<SessionSearchStore>().AddSingleton<SessionService>().AddSingleton<CallerCheck>()
            .AddHostedService<UsedGenerationsWriter>();
}
