using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Sessions;

internal static class SessionsSetup
{
    /// <summary>Connected apps: list, end, ask whether one still lives.</summary>
    public static void AddSessions(this IHostApplicationBuilder builder) => builder.Services.AddSingleton<SessionStore>().AddSingleton<SessionService>().AddSingleton<SessionLiveness>();
}
